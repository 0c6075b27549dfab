package signalbox

import (
	"bytes"
	"errors"
)

// DecodeSignal reads the body of a request to publish a signal:
//
//	{"recipients": {"type": "broadcast"}, "channel": "…", "message": …}
//	{"recipients": {"type": "user", "entityRef": "…" or ["…"]}, …}
//
// The type "entity" means the same as "user": whoever owns one of the
// references gets the signal. Errors are as for [DecodeSendRequest]. The signal
// shares no memory with body.
func DecodeSignal(body []byte) (Signal, error) {
	r, err := newBodyReader(body)
	if err != nil {
		return Signal{}, err
	}
	var (
		signal     Signal
		recipients bool
	)
	err = r.fields("", func(key []byte) error {
		switch string(key) {
		case "recipients":
			recipients = true
			return r.signalRecipients("/recipients", &signal)
		case "channel":
			return r.readText("/channel", &signal.Channel)
		case "message":
			raw, err := r.value("/message")
			signal.Message = bytes.Clone(raw)
			return err
		default:
			_, err := r.value("")
			return err
		}
	})
	if err == nil {
		err = r.end()
	}
	switch {
	case err != nil:
		return Signal{}, err
	case !recipients:
		return Signal{}, r.invalid("", "must have required property 'recipients'")
	case signal.Channel == "":
		return Signal{}, r.invalid("", "must have required property 'channel'")
	case signal.Message == nil:
		return Signal{}, r.invalid("", "must have required property 'message'")
	case len(signal.Message) > MaxSignalMessage:
		return Signal{}, r.invalid("/message", "must NOT be larger than %d bytes of JSON", MaxSignalMessage)
	}
	if fault := textFault(signal.Channel, MaxSignalChannel, false); fault != "" {
		return Signal{}, r.invalid("/channel", "%s", fault)
	}
	return signal, nil
}

func (r *jsonReader) signalRecipients(at string, signal *Signal) error {
	var kind string
	signal.Broadcast, signal.Recipients = false, nil
	err := r.fields(at, func(key []byte) (err error) {
		switch string(key) {
		case "type":
			return r.readText(at+"/type", &kind)
		case "entityRef":
			signal.Recipients, err = r.readOptionalStrings(at+"/entityRef", MaxEntityRefs)
			return err
		default:
			_, err := r.value("")
			return err
		}
	})
	if err != nil {
		return err
	}
	switch kind {
	case "broadcast":
		signal.Broadcast, signal.Recipients = true, nil
		return nil
	case "user", "entity":
	default:
		return r.invalid(at+"/type", "must be equal to one of the allowed values: user, entity, broadcast")
	}
	if signal.Recipients == nil {
		return r.invalid(at, "must have required property 'entityRef'")
	}
	if len(signal.Recipients) == 0 {
		return r.invalid(at+"/entityRef", "must NOT have fewer than 1 items")
	}
	signal.Recipients, err = entityRefs(r.root+at+"/entityRef", signal.Recipients, MaxEntityRefs)
	var bad *entityRefError
	if errors.As(err, &bad) {
		return Errorf(CodeInput, "%s", bad.Error())
	}
	return err
}
