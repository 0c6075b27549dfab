package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
)

// directory knows the members of groups.
type directory map[string][]string

func (d directory) Resolve(_ context.Context, refs, exclude []string) (signalbox.Resolution, error) {
	var r signalbox.Resolution
	for _, ref := range refs {
		members, known := d[ref]
		switch {
		case strings.HasPrefix(ref, "user:"):
			members = []string{ref}
		case ref == "group:default/down":
			return r, signalbox.Transient(errors.New("the catalog is down"))
		case !known:
			r.Unknown = append(r.Unknown, ref)
		}
		for _, user := range members {
			if !slices.Contains(exclude, user) && !slices.Contains(r.Users, user) {
				r.Users = append(r.Users, user)
			}
		}
	}
	return r, nil
}

func (directory) Entities(context.Context, []string) (map[string]signalbox.Entity, error) {
	return map[string]signalbox.Entity{}, nil
}

func (directory) Ownership(_ context.Context, user string) ([]string, error) {
	return []string{user}, nil
}

// webOnlyTakers has the inbox, and no other channel.
func webOnlyTakers(audience signalbox.Audience, _ bool) []string {
	if audience.IsUser() || audience == signalbox.Everyone {
		return []string{signalbox.ChannelWeb}
	}
	return nil
}

func TestAdminSend(t *testing.T) {
	restricted, err := signalbox.NewSenderPolicy([]signalbox.SenderRule{{Subject: "*", Recipients: []string{}}})
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, withAdmins(jane), func(_ *web.Deps, config *web.Config) { config.Senders = restricted })
	const body = `{"recipients":{"type":"entity","entityRef":["user:jane","group:ops"]},"payload":{"title":"t","topik":1}}`
	got := h.post(userToken, adminAPI+"/send", body)
	got.want(t, 202, `{"id":"`+idOf(0)+`","status":"accepted","warnings":["unknown field 'payload.topik' was ignored"]}`)
	if location := got.Header.Get("Location"); location != adminAPI+"/deliveries/show?id="+idOf(0) {
		t.Errorf("Location: %s", location)
	}
	taken := h.submitter.taken()
	if len(taken) != 1 || taken[0].Requests[0].Origin != "signalbox" {
		t.Fatalf("submitted %+v", taken)
	}
	want := signalbox.Recipients{Type: signalbox.RecipientsEntity, EntityRefs: []string{jane, "group:default/ops"}}
	if diff := cmp.Diff(want, taken[0].Requests[0].Recipients); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"logger=audit", "who=" + jane, "what=send", "request=" + idOf(0), "broadcast=false", "group:default/ops"} {
		if !strings.Contains(h.logged.String(), text) {
			t.Errorf("no %s in the log: %s", text, h.logged)
		}
	}

	t.Log("Who waits gets the notifications, and is in the audit log, too.")
	h.submitter.answerWith(func(_ context.Context, s signalbox.Submission) (signalbox.Submitted, error) {
		if s.Wait != 5*time.Second || s.IdempotencyKey != "k" {
			t.Errorf("submission %+v", s)
		}
		answer := accepted(s)
		answer.Done = true
		answer.Receipts[0].ID = idOf(7)
		return answer, nil
	})
	waiting := request{
		method: "POST", path: adminAPI + "/send", token: userToken, body: `{"recipients":{"type":"broadcast"},"payload":{"title":"t"}}`,
		header: http.Header{"Prefer": {"wait=5"}, "Idempotency-Key": {"k"}},
	}
	h.do(waiting).want(t, 200, `[]`)
	if log := h.logged.String(); !strings.Contains(log, "request="+idOf(7)+" broadcast=true") {
		t.Error(log)
	}

	for body, fault := range map[string]string{`{}`: "recipients", `{"recipients":{"type":"broadcast"},"payload":{}}`: "title"} {
		if got := h.post(userToken, adminAPI+"/send", body); got.StatusCode != 400 || !strings.Contains(got.body, fault) {
			t.Errorf("%s: %d %s", body, got.StatusCode, got.body)
		}
	}
	if got := h.post(userToken, adminAPI+"/send?x=1", body); got.StatusCode != 400 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}

func TestAdminPreview(t *testing.T) {
	const joe, jim = "user:default/joe", "user:default/jim"
	direct, err := signalbox.NewDirectTargets([]string{"Web", "Chat"}, []string{"chat:#*"})
	if err != nil {
		t.Fatal(err)
	}
	crowd := make([]string, 2500)
	for i := range crowd {
		crowd[i] = fmt.Sprintf("user:default/u%04d", i)
	}
	h := start(t, withAdmins(jane), withPolicy(signalbox.SettingsConfig{
		Channels: []string{"Web", "Chat", "Mail"}, Defaults: []signalbox.Choice{{Channel: "Mail", Enabled: false}},
		Mandatory: []signalbox.MandatoryRule{{Channel: "Mail", Severity: signalbox.SeverityCritical}},
	}), func(deps *web.Deps, config *web.Config) {
		deps.Directory = directory{"group:default/ops": {jane, joe, jim}, "group:default/crowd": crowd}
		deps.Takers = func(audience signalbox.Audience, named bool) []string {
			switch {
			case audience.IsEntity():
				return []string{"Chat"}
			case audience.IsUser() && !named:
				return []string{"Web", "Mail"}
			default:
				return []string{"Web", "Chat", "Mail"}
			}
		}
		config.Rules.Direct = direct
	})
	if err := h.settings.SaveChoices(t.Context(), joe, []signalbox.Choice{{Channel: "Web", Origin: "signalbox", Topic: "news", Enabled: false}}); err != nil {
		t.Fatal(err)
	}
	const (
		on      = `{"to":"users","delivered":true,"rule":"default","text":"Nobody chose: everything is on","count":%d}`
		off     = `{"to":"users","delivered":false,"rule":"config.channel","text":"The operator's default for this channel","count":%d}`
		muted   = `{"to":"users","delivered":false,"rule":"user.topic","text":"The user's choice for this topic of this origin","count":1}`
		shared  = `{"to":"places","delivered":true,"rule":"shared","text":"It goes to a shared place, to which no user's settings apply","count":%d}`
		must    = `{"to":"everyone","delivered":true,"rule":"mandatory","text":"The operator made it mandatory on this channel","count":1}`
		all     = `{"to":"everyone","delivered":true,"rule":"broadcast","text":"It is a broadcast, to which settings do not apply","count":1}`
		nobody  = `{"count":0,"first":[]}`
		answer  = `{"broadcast":%t,"users":%s,"unknown":%s,"channels":[{"channel":"Web","outcomes":[%s]},{"channel":"Chat","outcomes":[%s]},{"channel":"Mail","outcomes":[%s]}]}`
		payload = `},"payload":{"title":"t","topic":"news"}}`
	)
	n := fmt.Sprintf
	for _, c := range []struct{ body, want string }{
		{
			`{"recipients":{"type":"entity","entityRef":["user:jane","group:ops","group:none","chat:#ops"],"excludeEntityRef":"user:jim"` + payload,
			n(answer, false, `{"count":2,"first":["`+jane+`","`+joe+`"]}`, `{"count":1,"first":["group:default/none"]}`,
				n(on, 1)+","+muted, n(shared, 3)+","+n(on, 1), n(off, 2)),
		},
		{
			`{"recipients":{"type":"entity","entityRef":"group:crowd"` + payload,
			n(answer, false, `{"count":2500,"first":["`+strings.Join(crowd[:20], `","`)+`"]}`, nobody, n(on, 2500), n(shared, 1), n(off, 2500)),
		},
		{`{"recipients":{"type":"broadcast"},"payload":{"title":"t","severity":"critical"}}`, n(answer, true, nobody, nobody, all, all, must)},
	} {
		h.post(userToken, adminAPI+"/preview", c.body).want(t, 200, c.want)
	}
	if got := h.post(userToken, adminAPI+"/preview", `{"recipients":{"type":"entity","entityRef":"group:down"`+payload); got.StatusCode != 503 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if got := h.post(userToken, adminAPI+"/preview", `{}`); got.StatusCode != 400 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if taken := h.submitter.taken(); len(taken) > 0 {
		t.Errorf("a preview sent %+v", taken)
	}
}
