package email

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// maxHeaderURL bounds a link in a header: a line has at most 998 octets
// (RFC 5322), and a URL cannot be folded.
const maxHeaderURL = 900

// letter is what becomes a message.
type letter struct {
	// id is the delivery's or the digest's.
	id string
	texts
	date time.Time
	// thread is what the message continues, and what is to be kept of it; nil if
	// nothing will ever continue it.
	thread *thread
	// origin and topic are empty if there is more than one.
	origin, topic string
	severity      string
	importance    gomail.Importance
	// bulk is set for what everyone gets.
	bulk bool
	// list is what the List-Id begins with.
	list string
	// unsubscribeURL may be empty.
	unsubscribeURL string
}

// letter makes the letter of a delivery.
func (c *Channel) letter(d channels.Delivery) (letter, error) {
	content, err := c.content(d)
	if err != nil {
		return letter{}, err
	}
	made, err := c.templates.execute(content)
	if err != nil {
		return letter{}, fmt.Errorf("email: %w", err)
	}
	previous := readThread(d.Previous)
	l := letter{
		id: d.ID, texts: made, date: content.Time, thread: &previous,
		origin: content.Origin, topic: content.Topic, severity: content.Severity, importance: gomail.ImportanceNormal,
		bulk: content.Broadcast, list: listLabel(content.Origin), unsubscribeURL: content.UnsubscribeURL,
	}
	switch signalbox.Severity(content.Severity) {
	case signalbox.SeverityCritical:
		l.importance = gomail.ImportanceHigh
	case signalbox.SeverityLow:
		l.importance = gomail.ImportanceLow
	default:
	}
	return l, nil
}

// compose makes the message of a letter to one recipient, whose name may be empty:
// its Message-ID, and its bytes with CR LF at the end of lines.
func (c *Channel) compose(l letter, to address, name string) (id string, message []byte, err error) {
	domain := domainOf(c.config.sender.Address)
	unique := uniqueID(l.id)
	id = unique + "@" + domain

	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("signalbox-"+unique))
	m.FromMailAddress(c.config.sender)
	m.ToMailAddress(&mail.Address{Name: name, Address: to.String()})
	if c.config.replyTo != nil {
		m.ReplyToMailAddress(c.config.replyTo)
	}
	m.Subject(l.subject)
	m.SetMessageIDWithValue(id)
	m.SetDateWithValue(l.date)
	if l.thread != nil && l.thread.references() != "" {
		m.SetGenHeader(gomail.HeaderInReplyTo, "<"+l.thread.Last+">")
		m.SetGenHeader(gomail.HeaderReferences, l.thread.references())
	}
	l.setAutomatic(m)
	l.setList(m, domain)
	m.SetBodyString(gomail.TypeTextPlain, l.text)
	m.AddAlternativeString(gomail.TypeTextHTML, l.html)

	var buffer bytes.Buffer
	if _, err := m.WriteTo(&buffer); err != nil {
		return "", nil, fmt.Errorf("email: message: %w", err)
	}
	message, err = c.signers.sign(buffer.Bytes())
	return id, message, err
}

// setAutomatic says that no person wrote this, so that no machine answers, and how
// urgent it is.
func (l *letter) setAutomatic(m *gomail.Msg) {
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834
	m.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "OOF, AutoReply")
	if l.bulk {
		m.SetGenHeader(gomail.HeaderPrecedence, "bulk")
	}
	m.SetImportance(l.importance)
	if l.origin != "" {
		m.SetGenHeader("X-Signalbox-Origin", l.origin)
	}
	m.SetGenHeader("X-Signalbox-Severity", l.severity)
	if l.topic != "" {
		m.SetGenHeader("X-Signalbox-Topic", l.topic)
	}
}

// setList makes the mails of an origin, and digests, a list of their own (RFC 2919),
// which can be left (RFC 2369) with one click (RFC 8058).
func (l *letter) setList(m *gomail.Msg, domain string) {
	m.SetGenHeader("List-Id", "<"+l.list+"."+domain+">")
	link := l.unsubscribeURL
	if link == "" || len(link) > maxHeaderURL {
		return
	}
	// On the line of its name: some readers look no further.
	m.SetGenHeaderPreformatted(gomail.HeaderListUnsubscribe, "<"+link+">")
	if strings.HasPrefix(link, "https://") {
		m.SetGenHeader(gomail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
	}
}

var notInLabel = regexp.MustCompile(`[^a-z0-9]+`)

// listLabel is an origin as a label of a List-Id, the same for equal origins only.
func listLabel(origin string) string {
	folded := signalbox.FoldID(origin)
	label := strings.Trim(notInLabel.ReplaceAllString(folded, "-"), "-")
	if strings.ReplaceAll(folded, ":", "-") == label && len(label) <= 60 {
		return label
	}
	sum := sha256.Sum256([]byte(folded))
	return strings.Trim(label[:min(len(label), 40)]+"-"+hex.EncodeToString(sum[:4]), "-")
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9]{1,50}$`)

// uniqueID is the ID of a delivery in characters that a Message-ID and a boundary
// may have.
func uniqueID(id string) string {
	if plainID.MatchString(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16]) + "." + strconv.Itoa(len(id))
}
