package main

import (
	"fmt"
	"io"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/channels/email/smtpfake"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// publicly is where mails say that links are read; a proxy would pass them on.
const publicly = "https://signalbox.example.com/u"

// lastLink returns what the newest mail says about unsubscribing, as a mailbox
// provider reads it.
func lastLink(t *testing.T, from *smtpfake.Server) (link string) {
	t.Helper()
	mails := from.Messages()
	parsed, err := mail.ReadMessage(strings.NewReader(string(mails[len(mails)-1].Data)))
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Header.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
		t.Fatalf("no one-click unsubscribe: %v", parsed.Header)
	}
	return strings.Trim(parsed.Header.Get("List-Unsubscribe"), "<>")
}

// ask asks at a link, with a form if there is one.
func (s *server) ask(t *testing.T, method, link, form string, status int) (page string) {
	t.Helper()
	rest, ok := strings.CutPrefix(link, publicly)
	if !ok {
		t.Fatalf("the link %q does not begin with %s", link, publicly)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, s.base+"/api/notifications/unsubscribe"+rest, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		t.Fatalf("%s %s: %d, want %d: %s, %v", method, form, response.StatusCode, status, content, err)
	}
	return string(content)
}

// TestUnsubscribe: a mail, a scanner that follows its link, a provider that
// unsubscribes, a person who changes her mind; and keys that are rotated.
func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, url string) {
		mails := smtpfake.Start(t, smtpfake.Config{})
		data, org := t.TempDir(), people(t, 2)
		secret := func(c string) string { return strings.Repeat(c, 32) }
		begin := func(keys string) *server {
			return start(t, data, url, quickly("SIGNALBOX_DIRECTORY_FILES="+org,
				emailSettings(mails, fmt.Sprintf(", unsubscribe: {url: %s, keys: [%s]}", publicly, keys)))...)
		}
		old, current := "{id: old, secret: "+secret("o")+"}", "{id: new, secret: "+secret("n")+"}"
		s := begin(old)
		const delivered, off = "Email delivered", "Email suppressed user.topic"
		send := func(user, topic, outcome string) {
			t.Helper()
			s.traced(t, s.accept(t, to("user:default/"+user, "Run failed", "topic", topic)), map[string]int{"Web delivered": 1, outcome: 1})
		}
		send("u0", "runs", delivered)
		link := lastLink(t, mails)
		if page := s.ask(t, http.MethodGet, link, "", http.StatusOK); !strings.Contains(page, "Stop these emails?") {
			t.Errorf("the page: %s", page)
		}
		s.ask(t, http.MethodHead, link, "", http.StatusOK)
		send("u0", "Runs", delivered)

		s.ask(t, http.MethodPost, link, "List-Unsubscribe=One-Click", http.StatusOK)
		before := len(mails.Messages())
		send("u0", "runs", off)
		if n := len(mails.Messages()) - before; n != 0 {
			t.Errorf("%d mails after unsubscribing", n)
		}
		send("u0", "others", delivered)
		send("u1", "runs", delivered)
		others := lastLink(t, mails)

		s.ask(t, http.MethodPost, link, "undo=1&before=", http.StatusOK)
		send("u0", "runs", delivered)

		// Altered: the end of the signature, and somebody else's signature.
		s.ask(t, http.MethodPost, link[:len(link)-2], "List-Unsubscribe=One-Click", http.StatusBadRequest)
		s.ask(t, http.MethodPost, link[:strings.LastIndexByte(link, '.')]+others[strings.LastIndexByte(others, '.'):], "List-Unsubscribe=One-Click", http.StatusForbidden)
		send("u0", "runs", delivered)

		first := s
		s.kill()
		s = begin(current + ", " + old)
		send("u0", "runs", delivered)
		if !strings.HasPrefix(lastLink(t, mails), publicly+"/new.") {
			t.Error("the first key does not sign")
		}
		s.ask(t, http.MethodPost, link, "List-Unsubscribe=One-Click", http.StatusOK)
		send("u0", "runs", off)
		for _, s := range []*server{first, s} {
			log := s.output.String()
			if !strings.Contains(log, "settings changed by unsubscribe link") || strings.Contains(log, secret("o")) || strings.Contains(log, strings.TrimPrefix(link, publicly)) {
				t.Error("the log has a key or a link, or tells of no change")
			}
		}
		s.kill()
		s = begin(current)
		s.ask(t, http.MethodPost, link, "List-Unsubscribe=One-Click", http.StatusForbidden)
	})
}

// TestUnsubscribeWithoutKeys: the embedded database has one key of its own, and
// keeps it; instances that share a database have none.
func TestUnsubscribeWithoutKeys(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, url string) {
		mails := smtpfake.Start(t, smtpfake.Config{})
		data := t.TempDir()
		environment := quickly("SIGNALBOX_DIRECTORY_FILES="+people(t, 1), emailSettings(mails, ", unsubscribe: {url: "+publicly+"}"))
		s := start(t, data, url, environment...)
		send := func() {
			s.traced(t, s.accept(t, to("user:default/u0", "Hello")), map[string]int{"Web delivered": 1, "Email delivered": 1})
		}
		send()
		file := filepath.Join(data, "unsubscribe.key")
		if strings.HasPrefix(url, "postgres") {
			if text := string(mails.Messages()[0].Data); strings.Contains(text, "List-Unsubscribe") {
				t.Error("a link that only one instance knows")
			}
			if _, err := os.Stat(file); err == nil || !strings.Contains(s.output.String(), "unsubscribe.keys has to be set") {
				t.Errorf("a key was made, or the log does not say that there is none: %v", err)
			}
			return
		}
		link := lastLink(t, mails)
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key: %v, %v", info, err)
		}
		s.kill()
		s = start(t, data, url, environment...)
		// What has no topic is the origin as a whole.
		s.ask(t, http.MethodPost, link, "List-Unsubscribe=One-Click", http.StatusOK)
		s.traced(t, s.accept(t, to("user:default/u0", "Hello")), map[string]int{"Web delivered": 1, "Email suppressed user.origin": 1})
	})
}
