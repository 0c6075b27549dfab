package email

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/email/smtpfake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (run with -update to accept):\n%s", file, diff)
	}
}

// directory is a signalbox.Directory and a UserLister of a few users.
type directory struct {
	entities map[string]signalbox.Entity
	refs     []string
	asked    int
	err      error
	page     int
}

func newDirectory(entities ...signalbox.Entity) *directory {
	d := &directory{entities: map[string]signalbox.Entity{}}
	for _, entity := range entities {
		d.entities[entity.Ref] = entity
		d.refs = append(d.refs, entity.Ref)
	}
	return d
}

func (d *directory) Resolve(context.Context, []string, []string) (signalbox.Resolution, error) {
	return signalbox.Resolution{}, errors.New("nobody asks for this")
}

func (d *directory) Ownership(context.Context, string) ([]string, error) {
	return nil, errors.New("nobody asks for this")
}

func (d *directory) Entities(_ context.Context, refs []string) (map[string]signalbox.Entity, error) {
	d.asked++
	if d.err != nil {
		return nil, d.err
	}
	found := map[string]signalbox.Entity{}
	for _, ref := range refs {
		if entity, ok := d.entities[ref]; ok {
			found[ref] = entity
		}
	}
	return found, nil
}

func (d *directory) Users(_ context.Context, after string, limit int) (refs []string, next string, err error) {
	if d.err != nil {
		return nil, "", d.err
	}
	if d.page > 0 {
		limit = min(limit, d.page)
	}
	begin := 0
	for i, ref := range d.refs {
		if ref == after {
			begin = i + 1
		}
	}
	end := min(begin+limit, len(d.refs))
	refs = d.refs[begin:end]
	if end < len(d.refs) {
		next = d.refs[end-1]
	}
	return refs, next, nil
}

const jane = "user:default/jane"

func janeOnly() *directory {
	return newDirectory(signalbox.Entity{Ref: jane, Title: "Jane Doe", Email: "jane@example.com"})
}

// toServer is the configuration for a fake server.
func toServer(s *smtpfake.Server) Config {
	return Config{
		Directory: janeOnly(), Sender: "Signalbox <signalbox@example.org>", Concurrency: 4,
		SMTP: &SMTP{Host: s.Host(), Port: s.Port(), RootCAs: s.Roots()},
	}
}

func open(t testing.TB, config Config) *Channel {
	t.Helper()
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// toWriter is a channel that writes mails, and the function that returns the last.
func toWriter(t *testing.T, config Config) (*Channel, func() []byte) {
	t.Helper()
	var out bytes.Buffer
	config.Stream = &Stream{Writer: &out}
	if config.Directory == nil {
		config.Directory = janeOnly()
	}
	if config.Sender == "" {
		config.Sender = "Signalbox <signalbox@example.org>"
	}
	return open(t, config), func() []byte {
		defer out.Reset()
		return bytes.Clone(bytes.TrimSuffix(out.Bytes(), []byte("\r\n")))
	}
}

var sentAt = time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC)

// delivery is one to Jane.
func delivery(n string, payload signalbox.Payload) channels.Delivery {
	key := signalbox.DeliveryKey{RequestID: n, Audience: jane, Channel: Name}
	return channels.Delivery{
		ID: key.ID(), Audience: jane, Named: true, Attempt: 1,
		Target: channels.Target{Address: "jane@example.com", Display: "Jane Doe <jane@example.com>", Limit: "example.com"},
		Notification: signalbox.Notification{
			ID: n, User: jane, Origin: "plugin:scaffolder", Created: sentAt, RequestID: n, Revision: 1, Payload: payload,
		},
	}
}

func simple(n string) channels.Delivery {
	return delivery(n, signalbox.Payload{Title: "Title " + n, Severity: signalbox.SeverityNormal})
}

func send(t *testing.T, c *Channel, d channels.Delivery) channels.Sent {
	t.Helper()
	sent, err := c.Deliver(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

// parsed is a mail as net/mail and mime/multipart read it.
type parsed struct {
	header     mail.Header
	text, html string
}

func parse(t testing.TB, data []byte) parsed {
	t.Helper()
	for line := range bytes.SplitSeq(bytes.TrimSuffix(data, []byte("\r\n")), []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n") {
			t.Fatalf("a line of %d octets, or a bare CR or LF: %.200q", len(line), line)
		}
	}
	message, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	p := parsed{header: message.Header}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q: %v", kind, err)
	}
	reader := multipart.NewReader(message.Body, parameters["boundary"])
	for _, part := range []struct {
		kind string
		into *string
	}{{"text/plain", &p.text}, {"text/html", &p.html}} {
		// Raw, so that the encoding is looked at, too.
		next, err := reader.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		kind, parameters, err := mime.ParseMediaType(next.Header.Get("Content-Type"))
		if err != nil || kind != part.kind || !strings.EqualFold(parameters["charset"], "utf-8") || next.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			t.Fatalf("part %q: %v", next.Header, err)
		}
		content, err := io.ReadAll(quotedprintable.NewReader(next))
		if err != nil {
			t.Fatal(err)
		}
		*part.into = strings.ReplaceAll(string(content), "\r\n", "\n")
	}
	if _, err := reader.NextRawPart(); err != io.EOF {
		t.Fatalf("a third part: %v", err)
	}
	return p
}

func (p parsed) decoded(t testing.TB, name string) string {
	t.Helper()
	if n := len(p.header[name]); n > 1 {
		t.Fatalf("%d headers %s", n, name)
	}
	text, err := new(mime.WordDecoder).DecodeHeader(p.header.Get(name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within 5s: %s", what)
		}
	}
}
