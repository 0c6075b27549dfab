package email

import (
	"errors"
	"fmt"

	gomail "github.com/wneessen/go-mail"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/email/unsubscribe"
)

// digestList is what the List-Id of digests begins with.
const digestList = "digest"

// digestLetter makes the letter of a digest. Origin and topic are those that all
// items share.
func (c *Channel) digestLetter(d channels.Digest) (letter, error) {
	if len(d.Items) == 0 {
		return letter{}, errors.New("email: the digest has no items")
	}
	origin, topic := shared(d.Items)
	unsubscribeURL, err := c.unsubscribeDigest(d, origin, topic)
	if err != nil {
		return letter{}, err
	}
	made, content, err := c.fit(d, func(content *DigestContent) {
		content.Origin, content.Topic, content.UnsubscribeURL = oneLine(origin), oneLine(topic), unsubscribeURL
	})
	if err != nil {
		return letter{}, fmt.Errorf("email: %w", err)
	}
	return letter{
		id: d.ID, texts: made, date: d.End, origin: content.Origin, topic: content.Topic, severity: content.Severity,
		importance: gomail.ImportanceNormal, list: digestList, unsubscribeURL: unsubscribeURL,
	}, nil
}

// fit makes the texts of a digest, with as much of it as mail programs show: of a
// digest that is too large, first only what is urgent keeps its text, then the last
// entries go.
func (c *Channel) fit(d channels.Digest, complete func(*DigestContent)) (texts, DigestContent, error) {
	shown := c.entries(d)
	for short := false; ; {
		content := c.digestContent(d, shown)
		complete(&content)
		made, err := c.digests.execute(content)
		size := len(made.html)
		if errors.Is(err, errTooLarge) {
			size = maxPart
		} else if err != nil {
			return texts{}, content, err
		}
		if size <= maxRendered || short && len(shown) == 1 {
			return made, content, err
		}
		if !short {
			short = true
			for i := range shown {
				if signalbox.Severity(shown[i].Severity).Rank() <= signalbox.SeverityNormal.Rank() {
					shown[i].Text = ""
				}
			}
			continue
		}
		shown = shown[:max(1, min(len(shown)-1, len(shown)*maxRendered/size))]
	}
}

// shared returns the origin and the topic that all items have, as the first has
// them; each is empty if they differ.
func shared(items []channels.DigestItem) (origin, topic string) {
	first := &items[0].Notification
	origin, topic = first.Origin, first.Payload.Topic
	for i := range items {
		n := &items[i].Notification
		if signalbox.FoldID(n.Origin) != signalbox.FoldID(first.Origin) {
			return "", ""
		}
		if signalbox.FoldID(n.Payload.Topic) != signalbox.FoldID(first.Payload.Topic) {
			topic = ""
		}
	}
	return origin, topic
}

// unsubscribeDigest is the link that ends the mails of an origin and topic. A link
// is about one origin: a digest of several has none.
func (c *Channel) unsubscribeDigest(d channels.Digest, origin, topic string) (string, error) {
	if c.config.Unsubscribe == nil || origin == "" || !signalbox.Audience(d.User).IsUser() {
		return "", nil
	}
	link, err := c.config.Unsubscribe.URL(unsubscribe.Subject{User: d.User, Channel: Name, Origin: origin, Topic: topic}, d.End)
	if err != nil {
		return "", fmt.Errorf("email: link to unsubscribe: %w", err)
	}
	return link, nil
}
