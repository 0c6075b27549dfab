package slack

import (
	"context"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"

	"github.com/signalbox/signalbox"
)

// maxMentions bounds the users that one description may mention; more are shown by
// name.
const maxMentions = 20

// mentionNode is <@user:ns/name>, as in Backstage's descriptions.
type mentionNode struct {
	ast.BaseInline
	ref string
}

var kindMention = ast.NewNodeKind("Mention")

// Kind implements [ast.Node].
func (*mentionNode) Kind() ast.NodeKind { return kindMention }

// Dump implements [ast.Node].
func (n *mentionNode) Dump(source []byte, level int) {
	ast.DumpHelper(n, source, level, map[string]string{"ref": n.ref}, nil)
}

// mentionsKey is where the parser collects the users.
var mentionsKey = parser.NewContextKey()

// mentionParser reads mentions.
type mentionParser struct{}

// Trigger implements [parser.InlineParser].
func (mentionParser) Trigger() []byte { return []byte{'<'} }

// Parse implements [parser.InlineParser].
func (mentionParser) Parse(_ ast.Node, block text.Reader, context parser.Context) ast.Node {
	line, _ := block.PeekLine()
	const longest = 300
	end := slices.Index(line[:min(len(line), longest)], '>')
	if end < 0 || !strings.HasPrefix(string(line), "<@") {
		return nil
	}
	ref, ok := userRef(string(line[2:end]))
	if !ok {
		return nil
	}
	block.Advance(end + 1)
	refs, _ := context.Get(mentionsKey).([]string)
	if !slices.Contains(refs, ref) && len(refs) < maxMentions {
		context.Set(mentionsKey, append(refs, ref))
	}
	return &mentionNode{ref: ref}
}

// userRef reads the reference of a mention.
func userRef(s string) (string, bool) {
	ref, err := signalbox.ParseEntityRef(s)
	if err != nil || !ref.IsUser() {
		return "", false
	}
	return ref.String(), true
}

// mentions finds out who is meant. Nothing of it is worth a delayed message: who
// cannot be found now is shown by name.
func (c *Channel) mentions(ctx context.Context, refs []string) map[string]mention {
	if len(refs) == 0 {
		return nil
	}
	entities, err := c.config.Directory.Entities(ctx, refs)
	if err != nil {
		c.log.DebugContext(ctx, "Mentions are shown by name: the directory does not answer", "err", err)
		return nil
	}
	users := make(map[string]mention, len(refs))
	for _, ref := range refs {
		entity := entities[ref]
		id, err := c.memberID(ctx, entity)
		if err != nil {
			c.log.DebugContext(ctx, "A mention is shown by name", "err", err)
		}
		users[ref] = mention{id: id, name: nameOf(ref, entity)}
	}
	return users
}

// memberID returns the id of a user in the workspace, or "".
func (c *Channel) memberID(ctx context.Context, entity signalbox.Entity) (string, error) {
	email := entity.Email
	if text := entity.Annotations[signalbox.AnnotationSlack]; text != "" {
		switch a, err := parseAddress(text); {
		case err != nil:
			return "", signalbox.Permanent(err)
		case a.isUser():
			return a.text, nil
		case a.kind == kindEmail:
			email = a.text
		}
	}
	if email == "" {
		return "", nil
	}
	found, err := c.people.find(ctx, email)
	return found.id, err
}
