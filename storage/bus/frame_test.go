package bus

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

type received struct {
	Kind    string
	Payload string
}

func unpackAll(t *testing.T, u *unpacker, frames []string) (all []received, lost int) {
	t.Helper()
	for _, frame := range frames {
		_, n, err := u.add(frame, func(kind string, payload []byte) {
			all = append(all, received{kind, string(payload)})
		})
		if err != nil {
			t.Fatal(err)
		}
		lost += n
	}
	return all, lost
}

func TestFrames(t *testing.T) {
	binary := make([]byte, 30_000)
	for i := range binary {
		binary[i] = byte(rand.Uint32())
	}
	var want []received
	for _, payload := range []string{
		"", "x", "two\nlines", "nul\x00byte", "bad utf-8 \xff",
		strings.Repeat("ж€", 20_000), strings.Repeat("a", maxFrame), string(binary),
		strings.Repeat("a", MaxMessage), string(bytes.Repeat([]byte{0xff}, MaxMessage)),
		strings.Repeat("b", 7800), strings.Repeat("c", 200), strings.Repeat("d", 300),
	} {
		want = append(want, received{"signal", payload})
	}
	for i := range 1000 {
		want = append(want, received{"wake", fmt.Sprint(i)})
	}
	p := packer{instance: "here"}
	for _, r := range want {
		p.add(r.Kind, []byte(r.Payload))
	}
	frames := p.take()
	seen := map[string]bool{}
	for _, frame := range frames {
		if len(frame) > maxFrame {
			t.Errorf("a frame has %d bytes", len(frame))
		}
		if !utf8.ValidString(frame) || strings.Contains(frame, "\x00") {
			t.Error("a frame is not text")
		}
		if seen[frame] {
			t.Error("two frames are equal: PostgreSQL would drop one")
		}
		seen[frame] = true
	}
	got, lost := unpackAll(t, &unpacker{instance: "there"}, frames)
	if diff := cmp.Diff(want, got); diff != "" || lost != 0 {
		t.Errorf("%d lost; %.2000s", lost, diff)
	}
	if own, _ := unpackAll(t, &unpacker{instance: "here"}, frames); len(own) != 0 {
		t.Error("own messages came back")
	}
}

func TestSmallMessagesShareAFrame(t *testing.T) {
	p := packer{instance: "here"}
	for range 500 {
		p.add("wake", []byte("notifications"))
	}
	if frames := p.take(); len(frames) > 3 {
		t.Errorf("500 wake-ups take %d frames", len(frames))
	}
}

// A message of which a part is missing is dropped, and only that one.
func TestLostFrame(t *testing.T) {
	p := packer{instance: "here"}
	p.add("a", []byte("before"))
	p.add("b", bytes.Repeat([]byte("x"), 40_000))
	p.add("c", []byte("after"))
	frames := p.take()
	for missing := range frames {
		rest := append(append([]string{}, frames[:missing]...), frames[missing+1:]...)
		got, _ := unpackAll(t, &unpacker{instance: "there"}, rest)
		for _, r := range got {
			if r.Kind == "b" {
				t.Errorf("without frame %d, a message of %d bytes came", missing, len(r.Payload))
			}
		}
		if missing != len(frames)-1 && (len(got) == 0 || got[len(got)-1].Payload != "after") {
			t.Errorf("without frame %d, the message behind did not come", missing)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	p := packer{instance: "here"}
	p.add("wake", []byte("topic"))
	p.add("signal", []byte{0, 1, 2})
	for _, frame := range p.take() {
		f.Add(frame)
	}
	f.Add("there 1\nk t> 1\nx")
	f.Add("there 1\nk b 99999999999999999999\n")
	f.Fuzz(func(_ *testing.T, frame string) {
		u := unpacker{instance: "me"}
		for range 2 {
			_, _, _ = u.add(frame, func(string, []byte) {})
		}
	})
}

func TestOutbox(t *testing.T) {
	o := newOutbox(1000)
	for _, topic := range []string{"t", "t", "u"} {
		if !o.put("wake", []byte(topic), true) {
			t.Fatal("no room")
		}
	}
	o.put("signal", []byte("t"), false)
	o.put("signal", []byte("t"), false)
	taken := o.take()
	var got []received
	for _, m := range taken.messages {
		got = append(got, received{m.kind, string(taken.payload(m))})
	}
	want := []received{{"wake", "t"}, {"wake", "u"}, {"signal", "t"}, {"signal", "t"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !o.put("wake", []byte("t"), true) || len(o.take().messages) != 1 {
		t.Error("a wake-up after the sending was swallowed")
	}
	if !o.put("signal", make([]byte, 900), false) || o.put("signal", make([]byte, 100), false) {
		t.Error("the bound does not hold")
	}
	o.take()
	for n := 0; o.put("signal", nil, false); n++ {
		if n > 1000 {
			t.Fatal("empty messages are not bounded")
		}
	}
}
