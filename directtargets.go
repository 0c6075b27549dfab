package signalbox

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// DirectTargets knows the addresses that senders may name in place of entities, as
// in "email:ops@example.com". The zero value, and nil, know none. It is read only,
// and so safe for concurrent use.
type DirectTargets struct {
	// names are the channels, by their folded names.
	names map[string]string
	// allowed are folded patterns of addresses, by the names of channels.
	allowed map[string][]string
}

// NewDirectTargets takes the names of the outside channels, and which addresses
// are allowed: patterns such as "email:*@example.com" or "slack:#alerts", in which
// "*" stands for any characters but "/". Upper and lower case are the same.
func NewDirectTargets(channels, allowed []string) (*DirectTargets, error) {
	d := &DirectTargets{names: make(map[string]string), allowed: make(map[string][]string)}
	for _, name := range channels {
		if name != ChannelWeb {
			d.names[FoldID(name)] = name
		}
	}
	for _, pattern := range allowed {
		name, address, err := SplitTarget(pattern)
		if err != nil {
			return nil, err
		}
		known, ok := d.names[FoldID(name)]
		if !ok {
			return nil, fmt.Errorf("%q names no channel that there is", pattern)
		}
		if _, err := path.Match(FoldID(address), ""); err != nil {
			return nil, fmt.Errorf("%q is not a valid pattern", pattern)
		}
		d.allowed[known] = append(d.allowed[known], FoldID(address))
	}
	return d, nil
}

// SplitTarget splits "channel:address".
func SplitTarget(s string) (channel, address string, err error) {
	channel, address, ok := strings.Cut(s, ":")
	if channel, address = strings.TrimSpace(channel), strings.TrimSpace(address); !ok || channel == "" || address == "" {
		return "", "", fmt.Errorf("%q must be written channel:address, as in email:*@example.com", s)
	}
	return channel, address, nil
}

// parse reads a recipient that begins with the name of a channel. It returns false
// for what is none.
func (d *DirectTargets) parse(at, ref string) (target DirectTarget, is bool, err error) {
	if d == nil {
		return target, false, nil
	}
	prefix, _, _ := strings.Cut(ref, ":")
	name, is := d.names[FoldID(strings.TrimSpace(prefix))]
	if !is {
		return target, false, nil
	}
	_, address, err := SplitTarget(ref)
	if err != nil {
		return target, true, invalid(at, "must have an address after %q", prefix+":")
	}
	if fault := textFault(address, MaxEntityRef, false); fault != "" {
		return target, true, invalid(at, "%s", fault)
	}
	folded := FoldID(address)
	for _, pattern := range d.allowed[name] {
		if ok, err := path.Match(pattern, folded); err == nil && ok {
			return DirectTarget{Channel: name, Address: address}, true, nil
		}
	}
	return target, true, Errorf(CodeNotAllowed, "The direct target %s:%s is not among those that the operator allows", name, address)
}

// split takes direct targets out of references and drops doubles.
func (d *DirectTargets) split(at string, refs []string) (entities []string, targets []DirectTarget, err error) {
	seen := make(map[DirectTarget]bool)
	for i, ref := range refs {
		target, is, err := d.parse(at+"/"+strconv.Itoa(i), ref)
		switch {
		case err != nil:
			return nil, nil, err
		case !is:
			entities = append(entities, ref)
		case !seen[target]:
			seen[target] = true
			targets = append(targets, target)
		}
	}
	return entities, targets, nil
}

// join adds direct targets to those that a processor may have named by itself, which
// need no leave: their channels get the names they have, and doubles are dropped. A
// channel that is not there is left to the pipeline.
func (d *DirectTargets) join(at string, given, more []DirectTarget) ([]DirectTarget, error) {
	if len(given) == 0 {
		return more, nil
	}
	var joined []DirectTarget
	seen := make(map[DirectTarget]bool)
	add := func(target DirectTarget) {
		if !seen[target] {
			seen[target] = true
			joined = append(joined, target)
		}
	}
	for i, target := range given {
		at := at + "/" + strconv.Itoa(i)
		if target.Address = strings.TrimSpace(target.Address); target.Address == "" {
			return nil, invalid(at+"/address", "must NOT be empty")
		}
		if fault := textFault(target.Address, MaxEntityRef, false); fault != "" {
			return nil, invalid(at+"/address", "%s", fault)
		}
		if fault := textFault(target.Channel, MaxEntityRef, false); fault != "" {
			return nil, invalid(at+"/channel", "%s", fault)
		}
		target.Channel = d.nameOf(target.Channel)
		add(target)
	}
	for _, target := range more {
		add(target)
	}
	if len(joined) > MaxEntityRefs {
		return nil, invalid(at, "must NOT have more than %d items", MaxEntityRefs)
	}
	return joined, nil
}

// nameOf returns the name of a channel as it has it, however it is written; a name
// that no channel has is returned as it is.
func (d *DirectTargets) nameOf(channel string) string {
	if d != nil {
		if name, known := d.names[FoldID(strings.TrimSpace(channel))]; known {
			return name
		}
	}
	return channel
}
