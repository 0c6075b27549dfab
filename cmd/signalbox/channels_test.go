package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels/email/smtpfake"
	"github.com/signalbox/signalbox/channels/slack/slackfake"
	"github.com/signalbox/signalbox/processors/directory/directorytest"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// people is a catalog file of so many users, who all have addresses.
func people(t testing.TB, n int) string {
	t.Helper()
	var entities []directorytest.Entity
	group := directorytest.Entity{Kind: "Group", Name: "team", Annotations: map[string]string{signalbox.AnnotationSlack: "C0TEAM"}}
	for i := range n {
		name := fmt.Sprintf("u%d", i)
		entities = append(entities, directorytest.Entity{
			Kind: "User", Name: name, Email: name + "@example.com",
			Annotations: map[string]string{signalbox.AnnotationSlack: fmt.Sprintf("U%05d", i)},
		})
		group.Members = append(group.Members, "user:"+name)
	}
	file := filepath.Join(t.TempDir(), "org.yaml")
	if err := os.WriteFile(file, directorytest.YAML(append(entities, group)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// quickly are settings under which a test of failures does not take long.
func quickly(more ...string) []string {
	return append([]string{
		"SIGNALBOX_PIPELINE_RETRY_MIN=10ms", "SIGNALBOX_PIPELINE_RETRY_MAX=300ms",
		"SIGNALBOX_PIPELINE_LEASE=6s", "SIGNALBOX_PIPELINE_PROCESSOR_TIMEOUT=4s",
	}, more...)
}

func slackSettings(slack *slackfake.Server, more string) string {
	return fmt.Sprintf(`SIGNALBOX_NOTIFICATIONS_PROCESSORS_SLACK=[{token: %s, apiURL: %s, targetInterval: 0s, concurrencyLimit: %d%s}]`,
		slackfake.Token, slack.URL(), callsAtATime, more)
}

func emailSettings(server *smtpfake.Server, more string) string {
	return fmt.Sprintf(`SIGNALBOX_NOTIFICATIONS_PROCESSORS_EMAIL={transportConfig: {transport: smtp, hostname: %s, port: %d}, sender: "Signalbox <noreply@example.com>", concurrencyLimit: %d, throttleInterval: 0s%s}`,
		server.Host(), server.Port(), callsAtATime, more)
}

// callsAtATime is how many calls of a channel may be under way when a process is
// killed: so many may be made again.
const callsAtATime = 10

// underFaults sends n notifications, each to one user, while the process is killed
// twice, and returns when all deliveries are accounted for.
func underFaults(t *testing.T, url string, n int, received func() int, environment ...string) (started []*server) {
	t.Helper()
	data := t.TempDir()
	environment = quickly(append(environment, "SIGNALBOX_DIRECTORY_FILES="+people(t, 50))...)
	s := start(t, data, url, environment...)
	for at := 0; at < n; at += 100 {
		var batch []string
		for i := at; i < min(at+100, n); i++ {
			batch = append(batch, to(fmt.Sprintf("user:default/u%d", i%50), fmt.Sprintf("number %d.", i)))
		}
		if _, err := s.call(http.MethodPost, "/api/notifications/batch", s.asService(), "["+strings.Join(batch, ",")+"]", http.StatusAccepted); err != nil {
			t.Fatal(err)
		}
	}
	started = append(started, s)
	for _, kill := range []int{n / 4, n / 2} {
		eventually(t, 60*time.Second, func() error {
			if got := received(); got < kill {
				return fmt.Errorf("%d of %d", got, kill)
			}
			return nil
		})
		s.kill()
		s = start(t, data, url, environment...)
		started = append(started, s)
	}
	db := storagetest.Open(t, url)
	eventually(t, 120*time.Second, func() error {
		var delivered, others int
		if err := db.Reader.QueryRow(`SELECT count(*) FILTER (WHERE status = 'delivered' AND provider_id <> ''), count(*) FILTER (WHERE status <> 'delivered')
FROM deliveries`).Scan(&delivered, &others); err != nil {
			return err
		}
		if delivered != n || others != 0 {
			return fmt.Errorf("the trace tells of %d deliveries, and %d others", delivered, others)
		}
		return nil
	})
	return started
}

// TestSlackUnderFaults: every message arrives, and twice only where it cannot be
// known.
func TestSlackUnderFaults(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, url string) {
		const n, cut = 1000, 15
		slack := slackfake.New(t)
		slack.FailRandomly(1, 0.08, slackfake.Status(http.StatusInternalServerError), slackfake.CutBefore(), slackfake.Refuse("internal_error"))
		faults := []slackfake.Fault{slackfake.RateLimit(time.Second), slackfake.Hang(), slackfake.Hang()}
		for range cut { // some were sent, and nobody was told
			faults = append(faults, slackfake.CutAfter(), slackfake.None(), slackfake.None())
		}
		slack.Fail(append(faults, slackfake.RateLimit(time.Second))...)
		servers := underFaults(t, url, n, func() int { return len(slack.Messages()) }, slackSettings(slack, ""))

		times := map[string]int{}
		for _, m := range slack.Messages() {
			text := m.Text + string(m.Attachments)
			at := strings.Index(text, "number ")
			if at < 0 {
				t.Fatalf("no title in %s", text)
			}
			title, _, _ := strings.Cut(text[at:], ".")
			times[title]++
		}
		if len(times) != n {
			t.Errorf("%d of %d arrived", len(times), n)
		}
		if doubles := len(slack.Messages()) - len(times); doubles > cut+2*callsAtATime {
			t.Errorf("%d came twice", doubles)
		} else {
			t.Logf("%d came twice: %d were cut off, and up to %d under way at a kill", doubles, cut, 2*callsAtATime)
		}
		for _, s := range servers {
			if strings.Contains(s.output.String(), "DoNotShowThis") {
				t.Error("the log has the token")
			}
		}
	})
}

// TestEmailUnderFaults: every mail arrives, and one that comes twice is the same to
// the mailbox.
func TestEmailUnderFaults(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, url string) {
		const n, lost = 1000, 15
		server := smtpfake.Start(t, smtpfake.Config{})
		steps, lose := 0, lost
		server.OnStep(func(s smtpfake.Step) smtpfake.Fault {
			steps++
			switch {
			case s.Stage == smtpfake.Data && steps%40 == 0 && lose > 0:
				lose--
				return smtpfake.Fault{Lose: true}
			case s.Stage == smtpfake.Data && steps%31 == 0:
				return smtpfake.Fault{Drop: true}
			case s.Stage == smtpfake.Rcpt && steps%37 == 0:
				return smtpfake.Refuse(421, [3]int{4, 3, 2}, "closing")
			}
			return smtpfake.Fault{}
		})
		underFaults(t, url, n, func() int { return len(server.Messages()) }, emailSettings(server, ""))

		ids := map[string]string{}
		for _, m := range server.Messages() {
			parsed, err := mail.ReadMessage(strings.NewReader(string(m.Data)))
			if err != nil {
				t.Fatal(err)
			}
			id, subject := parsed.Header.Get("Message-Id"), parsed.Header.Get("Subject")
			if known, twice := ids[subject]; twice && known != id {
				t.Errorf("%q came as %s and as %s", subject, known, id)
			}
			ids[subject] = id
		}
		if len(ids) != n {
			t.Errorf("%d of %d arrived", len(ids), n)
		}
		if doubles := len(server.Messages()) - len(ids); doubles > lost+2*callsAtATime {
			t.Errorf("%d came twice", doubles)
		}
	})
}

// TestWhereItGoes: a group's room and those who were named, by Slack; each member
// by email; and what users switched off.
func TestWhereItGoes(t *testing.T) {
	t.Parallel()
	slack, server := slackfake.New(t), smtpfake.Start(t, smtpfake.Config{})
	s := start(t, t.TempDir(), "", quickly("SIGNALBOX_DIRECTORY_FILES="+people(t, 3),
		slackSettings(slack, ", broadcastChannels: [C0ALL]"), emailSettings(server, ", broadcastConfig: {receiver: users}, denylistEmailAddresses: [blocked@example.com]"),
		`SIGNALBOX_NOTIFICATIONS_DIRECT_TARGETS=email:*@example.com,slack:#alerts`)...)
	mute := `{"channels":[{"id":"email","enabled":false,"origins":[]}]}`
	if _, err := s.call(http.MethodPost, "/api/notifications/settings", as("user:default/u1"), mute, http.StatusOK); err != nil {
		t.Fatal(err)
	}
	toTeam := s.accept(t, `{"recipients":{"type":"entity","entityRef":["group:team","user:u0","email:ops@example.com","email:blocked@example.com","slack:#alerts"]},"payload":{"title":"Team"}}`)
	answer := s.traced(t, toTeam, map[string]int{
		"Web delivered": 3, "Slack delivered": 3, "Email delivered": 3, "Email suppressed user.channel": 1, "Email suppressed email.denylist": 1,
	})
	targets := map[string]bool{}
	for _, d := range answer.Deliveries {
		targets[strings.TrimSpace(d.Recipient+" "+d.Channel+" "+d.Target)] = true
	}
	for _, want := range []string{
		"user:default/u0 Email u0 <u0@example.com>", "user:default/u2 Email u2 <u2@example.com>", "Email ops@example.com", "Slack #alerts",
	} {
		if !targets[want] {
			t.Errorf("no delivery %q among %v", want, targets)
		}
	}
	rooms := map[string]int{}
	for _, m := range slack.Messages() {
		rooms[m.To]++
	}
	if rooms["C0TEAM"] != 1 || rooms["U00000"] != 1 || len(slack.Messages()) != 3 {
		t.Errorf("Slack got messages to %v", rooms)
	}
	all := s.traced(t, s.accept(t, toAll("Everyone")), map[string]int{"Web delivered": 1, "Slack delivered": 1, "Email delivered": 3})
	for _, d := range all.Deliveries {
		if d.Channel == "Slack" && (d.Recipient != "*" || d.Target == "") {
			t.Errorf("broadcast: %+v", d)
		}
	}
	// A re-send updates what is there.
	first := s.accept(t, to("user:default/u0", "Building", "scope", "b"))
	s.traced(t, first, map[string]int{"Web delivered": 1, "Slack delivered": 1, "Email delivered": 1})
	posted := slack.Calls("chat.postMessage")
	s.traced(t, s.accept(t, to("user:default/u0", "Built", "scope", "b")), map[string]int{"Web delivered": 1, "Slack delivered": 1, "Email delivered": 1})
	if slack.Calls("chat.postMessage") != posted || slack.Calls("chat.update") != 1 {
		t.Errorf("%d posts more, %d updates", slack.Calls("chat.postMessage")-posted, slack.Calls("chat.update"))
	}
	mails := server.Messages()
	update, err := mail.ReadMessage(strings.NewReader(string(mails[len(mails)-1].Data)))
	if err != nil {
		t.Fatal(err)
	}
	if update.Header.Get("In-Reply-To") == "" || update.Header.Get("References") == "" {
		t.Errorf("the mail of the update is in no thread: %v", update.Header)
	}
}

// TestDeadLettersAreRedriven: a channel that refuses, a person who mends it.
func TestDeadLettersAreRedriven(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, url string) {
		slack := slackfake.New(t)
		slack.FailAlways(slackfake.Refuse("is_archived"))
		s := start(t, t.TempDir(), url, quickly("SIGNALBOX_DIRECTORY_FILES="+people(t, 3), slackSettings(slack, ""))...)
		location := s.accept(t, to("user:default/u0", "Lost"))
		failed := s.traced(t, location, map[string]int{"Web delivered": 1, "Slack failed": 1})
		if d := failed.Deliveries[0]; !strings.Contains(d.Detail, "archived") {
			t.Errorf("failed: %+v", d)
		}
		var letters struct {
			DeadLetters []struct{ ID, Stage, Error string }
		}
		body, err := s.call(http.MethodGet, "/api/notifications/admin/dead-letters?stage=Slack", s.asService(), "", http.StatusOK)
		if err == nil {
			err = json.Unmarshal(body, &letters)
		}
		if err != nil || len(letters.DeadLetters) != 1 {
			t.Fatalf("%s, %v", body, err)
		}
		slack.Heal()
		if _, err := s.call(http.MethodPost, "/api/notifications/admin/dead-letters/retry", s.asService(), `{"all":true}`, http.StatusOK); err != nil {
			t.Fatal(err)
		}
		s.traced(t, location, map[string]int{"Web delivered": 1, "Slack delivered": 1})
		if len(slack.Messages()) != 1 {
			t.Errorf("%d messages", len(slack.Messages()))
		}
		body, err = s.call(http.MethodGet, "/api/notifications/admin/dead-letters", s.asService(), "", http.StatusOK)
		if err != nil || !strings.Contains(string(body), `"deadLetters":[]`) {
			t.Errorf("%s, %v", body, err)
		}
	})
}
