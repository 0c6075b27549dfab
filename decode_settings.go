package signalbox

import "strconv"

// SettingsRequest asks to save choices.
type SettingsRequest struct {
	// Channels are the identifiers of the channels that the request names, as
	// they were sent, also those that it makes no choice about.
	Channels []string
	Choices  []Choice
}

// DecodeSettings reads the body of a request to save settings, as [SettingsPage]
// writes them. Switches that are left out, or null, are no choices: their stored
// ones stay. Unknown fields are tolerated, because pages send back what they were
// shown. Errors are as for [DecodeSendRequest].
func DecodeSettings(body []byte) (SettingsRequest, error) {
	r, err := newBodyReader(body)
	if err != nil {
		return SettingsRequest{}, err
	}
	d := settingsDecoder{jsonReader: r}
	found := false
	err = d.fields("", func(key []byte) error {
		if string(key) != "channels" {
			_, err := d.value("")
			return err
		}
		found = true
		return d.each("/channels", d.channel)
	})
	if err == nil {
		err = d.end()
	}
	switch {
	case err != nil:
		return SettingsRequest{}, err
	case !found:
		return SettingsRequest{}, d.invalid("", "must have required property 'channels'")
	}
	return d.request, nil
}

// settingsDecoder reads a [SettingsRequest].
type settingsDecoder struct {
	*jsonReader
	request SettingsRequest
}

// each calls read for every element of the array that must follow.
func (d *settingsDecoder) each(at string, read func(at string) error) error {
	kind, err := d.peek()
	if err != nil {
		return err
	}
	if kind != jsonArray {
		return d.invalid(at, "must be array")
	}
	return d.array(func(index int) error { return read(at + "/" + strconv.Itoa(index)) })
}

// optionalEach is each for what may be null.
func (d *settingsDecoder) optionalEach(at string, read func(at string) error) error {
	if null, err := d.null(); null || err != nil {
		return err
	}
	return d.each(at, read)
}

// row reads a switch: its id, whether it is on, and the switches that it contains
// (field below, by read), if it can contain any.
func (d *settingsDecoder) row(at, below string, limit int, read func(at string) error) (id string, enabled *bool, err error) {
	hasID := false
	err = d.fields(at, func(key []byte) error {
		switch name := string(key); {
		case name == "id":
			hasID = true
			return d.readText(at+"/id", &id)
		case name == "enabled":
			return d.optionalBool(at+"/enabled", &enabled)
		case name == below && read != nil:
			return d.optionalEach(at+"/"+below, read)
		default:
			_, err := d.value("")
			return err
		}
	})
	switch {
	case err != nil:
		return "", nil, err
	case !hasID:
		return "", nil, d.invalid(at, "must have required property 'id'")
	case id == "":
		return "", nil, d.invalid(at+"/id", "must NOT have fewer than 1 characters")
	}
	if fault := textFault(id, limit, false); fault != "" {
		return "", nil, d.invalid(at+"/id", "%s", fault)
	}
	return id, enabled, nil
}

// add adds a choice.
func (d *settingsDecoder) add(at string, c Choice) error {
	if len(d.request.Choices) >= MaxChoices {
		return d.invalid(at, "must NOT have more than %d choices before it", MaxChoices)
	}
	d.request.Choices = append(d.request.Choices, c)
	return nil
}

func (d *settingsDecoder) channel(at string) error {
	if len(d.request.Channels) >= MaxChoices {
		return d.invalid("/channels", "must NOT have more than %d items", MaxChoices)
	}
	first := len(d.request.Choices)
	id, enabled, err := d.row(at, "origins", MaxOrigin, d.origin)
	if err != nil {
		return err
	}
	// What a channel or an origin contains is read before its own id may be.
	d.request.Channels = append(d.request.Channels, id)
	for i := range d.request.Choices[first:] {
		d.request.Choices[first+i].Channel = id
	}
	if enabled == nil {
		return nil
	}
	return d.add(at, Choice{Channel: id, Enabled: *enabled})
}

func (d *settingsDecoder) origin(at string) error {
	first := len(d.request.Choices)
	id, enabled, err := d.row(at, "topics", MaxOrigin, d.topic)
	if err != nil {
		return err
	}
	for i := range d.request.Choices[first:] {
		d.request.Choices[first+i].Origin = id
	}
	if enabled == nil {
		return nil
	}
	return d.add(at, Choice{Origin: id, Enabled: *enabled})
}

func (d *settingsDecoder) topic(at string) error {
	id, enabled, err := d.row(at, "", MaxTopic, nil)
	if err != nil {
		return err
	}
	if enabled == nil {
		return d.invalid(at, "must have required property 'enabled'")
	}
	return d.add(at, Choice{Topic: id, Enabled: *enabled})
}
