package configs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on one source, so that no file can exhaust the memory.
const (
	maxSourceBytes = 1 << 20
	maxNodes       = 20_000
	maxDepth       = 100
)

type kind int

const (
	null kind = iota
	scalar
	mapping
	sequence
)

func (k kind) String() string {
	return [...]string{"nothing", "a single value", "a section", "a list"}[k]
}

// place is where something was written.
type place struct {
	source       string
	order        int
	line, column int
}

// node is a value, with the place it was written at.
type node struct {
	kind   kind
	at     place
	text   string  // of a scalar, before substitution
	fields []field // of a mapping, in the order they were written
	items  []*node // of a sequence
	// literal is set for what stands in a file: it has variables substituted,
	// and errors may show it. What comes from elsewhere is taken as it is, and
	// not shown.
	literal bool
}

type field struct {
	key   string
	at    place
	value *node
}

// child returns the value of a key, or nil.
func (n *node) child(key string) *node {
	for _, f := range n.fields {
		if f.key == key {
			return f.value
		}
	}
	return nil
}

// overlay returns base with over put on top: sections are merged, and what a
// later source says of a key replaces what an earlier one said. path is where
// base is.
func overlay(path string, base, over *node) *node {
	if known, _ := find(path); known != nil || base.kind != mapping || over.kind != mapping {
		return over
	}
	merged := *base
	merged.fields = slices.Clone(base.fields)
	for _, f := range over.fields {
		merged.set(path, f)
	}
	return &merged
}

// set adds a field to the section at path, merging it with what is there.
func (n *node) set(path string, f field) {
	for i, old := range n.fields {
		if old.key == f.key {
			f.value = overlay(join(path, f.key), old.value, f.value)
			n.fields[i] = f
			return
		}
	}
	n.fields = append(n.fields, f)
}

// put sets the value of the key with this path below the root n.
func (n *node) put(path string, value *node) {
	parts := split(path)
	for i := len(parts) - 1; i > 0; i-- {
		value = &node{kind: mapping, at: value.at, fields: []field{{key: parts[i], at: value.at, value: value}}}
	}
	n.set("", field{key: parts[0], at: value.at, value: value})
}

// parseYAML reads one source. A source without content is an empty section.
func parseYAML(source string, order int, content []byte) (*node, []Problem) {
	b := &builder{source: source, order: order, anchors: map[string]*node{}}
	if len(content) > maxSourceBytes {
		return nil, []Problem{b.problem(nil, fmt.Sprintf("is larger than %d MiB", maxSourceBytes>>20))}
	}
	file, err := parser.ParseBytes(content, 0)
	if err != nil {
		// The parser's own text quotes the source, which may hold secrets.
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			return nil, []Problem{b.problem(syntax.GetToken(), "is not valid YAML: "+syntax.GetMessage())}
		}
		return nil, []Problem{b.problem(nil, "is not valid YAML")}
	}
	root := &node{kind: mapping, at: place{source: source, order: order}, literal: true}
	for i, document := range file.Docs {
		if document.Body == nil {
			continue
		}
		if i > 0 {
			b.fail(document.Body.GetToken(), `has a second document ("---"); give it as a file of its own`)
			break
		}
		root = b.build(document.Body, 0)
	}
	return root, b.problems
}

// builder turns the parser's tree into nodes: tags are dropped, anchors,
// aliases and merge keys resolved.
type builder struct {
	source   string
	order    int
	anchors  map[string]*node
	nodes    int
	problems []Problem
}

func (b *builder) place(t *token.Token) place {
	p := place{source: b.source, order: b.order}
	if t != nil && t.Position != nil {
		p.line, p.column = t.Position.Line, t.Position.Column
	}
	return p
}

func (b *builder) problem(t *token.Token, message string) Problem {
	at := b.place(t)
	return Problem{Source: at.source, Line: at.line, Column: at.column, Message: message, order: at.order}
}

func (b *builder) fail(t *token.Token, message string) {
	b.problems = append(b.problems, b.problem(t, message))
}

func (b *builder) build(from ast.Node, depth int) *node {
	t := from.GetToken()
	n := &node{at: b.place(t), literal: true}
	b.nodes++
	if depth > maxDepth || b.nodes > maxNodes {
		if len(b.problems) == 0 {
			b.fail(t, "is nested too deeply or has too many values")
		}
		return n
	}
	switch v := from.(type) {
	case *ast.NullNode:
	case *ast.MappingNode:
		n.kind = mapping
		if !v.IsFlowStyle && len(v.Values) > 0 {
			n.at = b.place(v.Values[0].Key.GetToken()) // its own token is a colon
		}
		for _, entry := range v.Values {
			b.field(n, entry, depth)
		}
	case *ast.MappingValueNode:
		n.kind = mapping
		n.at = b.place(v.Key.GetToken())
		b.field(n, v, depth)
	case *ast.SequenceNode:
		n.kind = sequence
		for _, item := range v.Values {
			n.items = append(n.items, b.build(item, depth+1))
		}
	case *ast.TagNode:
		return b.build(v.Value, depth+1)
	case *ast.AnchorNode:
		n = b.build(v.Value, depth+1)
		b.anchors[v.Name.GetToken().Value] = n
	case *ast.AliasNode:
		anchored, ok := b.anchors[v.Value.GetToken().Value]
		if !ok {
			b.fail(t, fmt.Sprintf("refers to the anchor %q, which is not above it", v.Value.GetToken().Value))
			return n
		}
		// Shared, not copied: a chain of aliases costs nothing.
		return anchored
	case *ast.StringNode:
		n.kind, n.text = scalar, v.Value
	case *ast.LiteralNode:
		n.kind, n.text = scalar, v.Value.Value
	default: // numbers, booleans, .inf, .nan: as they were written
		n.kind, n.text = scalar, t.Value
	}
	return n
}

func (b *builder) field(n *node, entry *ast.MappingValueNode, depth int) {
	value := b.build(entry.Value, depth+1)
	if entry.Key.IsMergeKey() {
		b.merge(n, entry, value)
		return
	}
	key := ast.Node(entry.Key)
	if explicit, ok := key.(*ast.MappingKeyNode); ok {
		key = explicit.Value
	}
	name := key.GetToken().Value
	if text, ok := key.(*ast.StringNode); ok {
		name = text.Value
	}
	at := b.place(key.GetToken())
	for i, f := range n.fields {
		if f.key == name { // from a merge key above: the section's own wins
			n.fields[i] = field{key: name, at: at, value: value}
			return
		}
	}
	n.fields = append(n.fields, field{key: name, at: at, value: value})
}

// merge adds the fields of "<<: *anchor" that the section does not have.
func (b *builder) merge(n *node, entry *ast.MappingValueNode, value *node) {
	sections := []*node{value}
	if value.kind == sequence {
		sections = value.items
	}
	for _, section := range sections {
		if section.kind != mapping {
			b.fail(entry.Key.GetToken(), "merges something that is not a section")
			return
		}
		for _, f := range section.fields {
			if n.child(f.key) == nil {
				n.fields = append(n.fields, f)
			}
		}
	}
}

// join makes the path of a key.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// split takes the path of a key apart.
func split(path string) []string { return strings.Split(path, ".") }
