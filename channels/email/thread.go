package email

import (
	"encoding/json"
	"regexp"

	"github.com/signalbox/signalbox/channels"
)

// thread is what is kept of the messages of a scope: the first one, which mail
// programs group by, and the last one.
type thread struct {
	First string `json:"first"`
	Last  string `json:"last"`
}

// messageID is what this package makes; nothing else gets into a header.
var messageID = regexp.MustCompile(`^[A-Za-z0-9.]{1,64}@[A-Za-z0-9.-]{1,253}$`)

// readThread reads the state of what was sent before. What is not valid counts as
// nothing: a message out of its thread is better than none.
func readThread(previous *channels.Sent) thread {
	var t thread
	if previous == nil || json.Unmarshal([]byte(previous.State), &t) != nil ||
		!messageID.MatchString(t.First) || !messageID.MatchString(t.Last) {
		return thread{}
	}
	return t
}

// references is the value of the References header (RFC 5322 section 3.6.4), cut
// to its ends.
func (t thread) references() string {
	switch t.First {
	case "":
		return ""
	case t.Last:
		return "<" + t.First + ">"
	}
	return "<" + t.First + "> <" + t.Last + ">"
}

// then is the thread after one more message.
func (t thread) then(id string) thread {
	if t.First == "" {
		return thread{id, id}
	}
	return thread{t.First, id}
}

func (t thread) state() string {
	state, err := json.Marshal(t)
	if err != nil { // two strings
		return ""
	}
	return string(state)
}
