package email

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// DigestContent is what the templates of digests are given. Texts are as the sender
// wrote them, on one line: html/template escapes them.
type DigestContent struct {
	// Title tells how many there are, as in "7 notifications".
	Title string
	// Count is how many notifications there are, More how many of them the digest
	// does not show.
	Count, More int
	// Urgent counts those that are critical or high, as in "1 critical, 2 high";
	// empty if there are none.
	Urgent string
	// From names the origins, as in "scaffolder, ci and 2 more".
	From string
	// Preview is the beginning of what the digest tells, which programs show beside
	// the subject.
	Preview string
	// Severity is the highest, Color stands for it (#rrggbb), and Severities counts
	// all of them.
	Severity, Color string
	Severities      []DigestSeverity
	// Groups have the notifications of an origin each. The first has the most severe
	// one.
	Groups []DigestGroup
	// Time is when the digest was due, in the time zone of the user, as are the times
	// of entries. Zone is its name.
	Time time.Time
	Zone string
	// Link leads to all notifications, and LinkText says so. Both may be empty.
	Link, LinkText string
	// Reason is a sentence that says why one gets this.
	Reason string
	// Origin is set if all that is shown came from one, Topic if all is about one.
	Origin, Topic string
	// AppURL, SettingsURL and UnsubscribeURL may be empty. The last ends the mails of
	// Origin and Topic, and is empty if there is more than one origin.
	AppURL, SettingsURL, UnsubscribeURL string
}

// DigestSeverity counts the notifications of a severity.
type DigestSeverity struct {
	Severity, Color string
	Count           int
	// OrMore is set if there may be more of them, among those not shown.
	OrMore bool
}

// DigestGroup has the notifications of an origin.
type DigestGroup struct {
	// Origin is who sent them, Name the same without a prefix such as "plugin:",
	// unless another origin of the digest had the same name then.
	Origin, Name string
	// Topics are the topics, the one with the most severe notification first.
	Topics []DigestTopic
}

// DigestTopic has the notifications of a topic, the most severe first, then the
// newest.
type DigestTopic struct {
	// Topic is empty for what has none.
	Topic   string
	Entries []DigestEntry
}

// DigestEntry is one notification, or the newest revision of a scope.
type DigestEntry struct {
	Title string
	// Text is the beginning of the description, without its Markdown; it may be
	// empty.
	Text            string
	Severity, Color string
	// Link may be empty.
	Link string
	// Scope may be empty.
	Scope string
	// Time is when this revision was sent, and When the same as people say it on the
	// day of the digest, as in "Yesterday, 15:04".
	Time time.Time
	When string
	// Updates counts the earlier revisions that this one stands for.
	Updates int
}

const (
	// entryTitle and entryText are about two lines.
	entryTitle = 200
	entryText  = 200
	// namesInSubject is how many origins a subject names, nameInSubject how long each
	// may be.
	namesInSubject = 3
	nameInSubject  = 40
)

// entry is an item as it is shown, with what it is grouped by.
type entry struct {
	DigestEntry
	origin, topic string
}

// entries makes what is shown of the items of a digest.
func (c *Channel) entries(d channels.Digest) []entry {
	out := make([]entry, 0, len(d.Items))
	for i := range d.Items {
		n := &d.Items[i].Notification
		severity := severityOf(n)
		at := n.Revised().In(d.End.Location())
		out = append(out, entry{DigestEntry{
			Title:    cmp.Or(shorten(oneLine(n.Payload.Title), entryTitle), "Untitled"),
			Text:     shorten(c.markdown.plain(printable(n.Payload.Description)), entryText),
			Severity: string(severity), Color: colors[severity],
			Link: c.link(n.Payload.Link), Scope: oneLine(n.Payload.Scope),
			Time: at, When: when(at, d.End), Updates: max(0, d.Items[i].Updates),
		}, n.Origin, n.Payload.Topic})
	}
	return out
}

// digestContent makes the data of the templates, with these entries in the groups.
// All that it counts and names is of the whole digest.
func (c *Channel) digestContent(d channels.Digest, shown []entry) DigestContent {
	count := len(d.Items) + d.More
	out := DigestContent{
		Title: counted(count, "notification"), Count: count, More: count - len(shown),
		Severities: severities(d), Groups: groups(shown),
		Time: d.End, Zone: oneLine(d.End.Location().String()),
		Reason: "These were held and sent as one mail because of your delivery schedule.",
		AppURL: c.config.AppURL, SettingsURL: c.config.SettingsURL,
	}
	out.Severity, out.Color = out.Severities[0].Severity, out.Severities[0].Color
	out.Urgent = urgent(out.Severities)
	out.From = from(d)
	out.Preview = preview(shown)
	if c.config.AppURL != "" {
		out.Link, out.LinkText = c.config.AppURL+"/notifications", "Open notifications"
	}
	return out
}

func severityOf(n *signalbox.Notification) signalbox.Severity {
	return signalbox.SeverityFromRank(n.Payload.Severity.Rank())
}

// counted is a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// severities counts items by severity. What found no room among them is no more
// severe than the last of them.
func severities(d channels.Digest) []DigestSeverity {
	count := map[signalbox.Severity]int{}
	for i := range d.Items {
		count[severityOf(&d.Items[i].Notification)]++
	}
	var out []DigestSeverity
	for _, severity := range signalbox.Severities() {
		if n := count[severity]; n > 0 {
			out = append(out, DigestSeverity{Severity: string(severity), Color: colors[severity], Count: n})
		}
	}
	out[len(out)-1].OrMore = d.More > 0
	return out
}

// urgent names the severities above normal.
func urgent(all []DigestSeverity) string {
	var parts []string
	for _, s := range all {
		if signalbox.Severity(s.Severity).Rank() <= signalbox.SeverityNormal.Rank() {
			continue
		}
		or := ""
		if s.OrMore {
			or = " or more"
		}
		parts = append(parts, fmt.Sprintf("%d%s %s", s.Count, or, s.Severity))
	}
	return strings.Join(parts, ", ")
}

// from names the origins of all items.
func from(d channels.Digest) string {
	var names []string
	seen := map[string]bool{}
	for i := range d.Items {
		name := shorten(originName(d.Items[i].Notification.Origin), nameInSubject)
		if folded := signalbox.FoldID(name); !seen[folded] {
			seen[folded] = true
			names = append(names, name)
		}
	}
	more := len(names) - namesInSubject
	text := strings.Join(names[:min(len(names), namesInSubject)], ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func preview(shown []entry) string {
	var text strings.Builder
	for i := range shown {
		if text.Len() > 0 {
			text.WriteString(" · ")
		}
		text.WriteString(shown[i].Title)
		if text.Len() > 4*previewLength {
			break
		}
	}
	return shorten(text.String(), previewLength)
}

// groups sorts entries by origin and topic, each in the order of its first entry.
// Identifiers compare as in settings.
func groups(shown []entry) []DigestGroup {
	var out []DigestGroup
	origins := map[string]int{}    // into out
	topics := map[[2]string]int{}  // into the group's Topics
	named := map[string][]string{} // origins by the names that people say
	for i := range shown {
		e := &shown[i]
		origin, topic := signalbox.FoldID(e.origin), signalbox.FoldID(e.topic)
		g, known := origins[origin]
		if !known {
			g = len(out)
			origins[origin] = g
			name := originName(e.origin)
			out = append(out, DigestGroup{Origin: oneLine(e.origin), Name: name})
			named[signalbox.FoldID(name)] = append(named[signalbox.FoldID(name)], origin)
		}
		t, known := topics[[2]string{origin, topic}]
		if !known {
			t = len(out[g].Topics)
			topics[[2]string{origin, topic}] = t
			out[g].Topics = append(out[g].Topics, DigestTopic{Topic: oneLine(e.topic)})
		}
		entries := &out[g].Topics[t].Entries
		*entries = append(*entries, e.DigestEntry)
	}
	for g := range out {
		if len(named[signalbox.FoldID(out[g].Name)]) > 1 {
			out[g].Name = out[g].Origin
		}
	}
	return out
}

// when is a time as people say it on the day of another.
func when(at, day time.Time) string {
	year, month, date := day.Date()
	switch y, m, d := at.Date(); {
	case y == year && m == month && d == date:
		return at.Format("15:04")
	case time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC).Equal(time.Date(year, month, date, 0, 0, 0, 0, time.UTC)):
		return at.Format("Yesterday, 15:04")
	case y == year:
		return at.Format("2 January, 15:04")
	}
	return at.Format("2 January 2006, 15:04")
}
