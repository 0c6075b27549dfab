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

	gomail "github.com/wneessen/go-mail"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// maxHeaderURL bounds a link in a header: a line has at most 998 octets
// (RFC 5322), and a URL cannot be folded.
const maxHeaderURL = 900

// compose makes the message of a delivery to one recipient: its Message-ID, what to
// keep of it, and its bytes with CR LF at the end of lines.
func (c *Channel) compose(d channels.Delivery, to address) (id string, next thread, message []byte, err error) {
	content, err := c.content(d)
	if err != nil {
		return "", thread{}, nil, err
	}
	made, err := c.templates.execute(content)
	if err != nil {
		return "", thread{}, nil, fmt.Errorf("email: %w", err)
	}
	domain := domainOf(c.config.sender.Address)
	unique := uniqueID(d.ID)
	id = unique + "@" + domain

	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("signalbox-"+unique))
	m.FromMailAddress(c.config.sender)
	m.ToMailAddress(&mail.Address{Name: to.nameIn(d.Target.Display), Address: to.String()})
	if c.config.replyTo != nil {
		m.ReplyToMailAddress(c.config.replyTo)
	}
	m.Subject(made.subject)
	m.SetMessageIDWithValue(id)
	m.SetDateWithValue(content.Time)
	previous := readThread(d.Previous)
	if references := previous.references(); references != "" {
		m.SetGenHeader(gomail.HeaderInReplyTo, "<"+previous.Last+">")
		m.SetGenHeader(gomail.HeaderReferences, references)
	}
	setAutomatic(m, content)
	setList(m, content, domain)
	m.SetBodyString(gomail.TypeTextPlain, made.text)
	m.AddAlternativeString(gomail.TypeTextHTML, made.html)

	var buffer bytes.Buffer
	if _, err := m.WriteTo(&buffer); err != nil {
		return "", thread{}, nil, fmt.Errorf("email: message: %w", err)
	}
	signed, err := c.signers.sign(buffer.Bytes())
	return id, previous.then(id), signed, err
}

// setAutomatic says that no person wrote this, so that no machine answers, and how
// urgent it is.
func setAutomatic(m *gomail.Msg, content Content) {
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834
	m.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "OOF, AutoReply")
	if content.Broadcast {
		m.SetGenHeader(gomail.HeaderPrecedence, "bulk")
	}
	switch signalbox.Severity(content.Severity) {
	case signalbox.SeverityCritical:
		m.SetImportance(gomail.ImportanceHigh)
	case signalbox.SeverityLow:
		m.SetImportance(gomail.ImportanceLow)
	default:
	}
	m.SetGenHeader("X-Signalbox-Origin", content.Origin)
	m.SetGenHeader("X-Signalbox-Severity", content.Severity)
	if content.Topic != "" {
		m.SetGenHeader("X-Signalbox-Topic", content.Topic)
	}
}

// setList makes the mails of an origin a list of their own (RFC 2919), which can be
// left (RFC 2369) with one click (RFC 8058).
func setList(m *gomail.Msg, content Content, domain string) {
	m.SetGenHeader("List-Id", "<"+listLabel(content.Origin)+"."+domain+">")
	link := content.UnsubscribeURL
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
