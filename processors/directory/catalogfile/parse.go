package catalogfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/signalbox/signalbox"
)

// entity is one document of a file, with what the directory needs of it.
type entity struct {
	signalbox.Entity
	line int
	// The relations as the entity itself states them, as canonical references.
	memberOf, members, parent, children, owner []string
}

// FileError says what is wrong in a file.
type FileError struct {
	// File is the name of the file, Line the line in it, from 1; 0 if it is
	// about the whole file.
	File string
	Line int
	// Message says what is wrong.
	Message string
}

// Error returns "file:line: message".
func (p *FileError) Error() string {
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
	}
	return p.File + ": " + p.Message
}

// parsed is the content of a file.
type parsed struct {
	entities []entity
	// warnings are about documents that were passed over.
	warnings []FileError
}

// maxEntities bounds the entities of one file.
const maxEntities = 500_000

// parse reads all documents of a file. One that is wrong makes the whole file
// wrong, so that half a change never counts.
func parse(name string, content []byte) (parsed, *FileError) {
	var (
		result  parsed
		seen    = make(map[string]int)
		decoder = yaml.NewDecoder(bytes.NewReader(content))
	)
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			return parsed{}, syntaxProblem(name, err)
		}
		if len(document.Content) == 0 || document.Content[0].Tag == "!!null" {
			continue
		}
		d := &documentReader{name: name}
		e, ok := d.read(document.Content[0])
		if d.problem != nil {
			return parsed{}, d.problem
		}
		result.warnings = append(result.warnings, d.warnings...)
		if !ok {
			continue
		}
		if first, twice := seen[e.Ref]; twice {
			return parsed{}, &FileError{name, e.line, fmt.Sprintf("%s is defined twice, first in line %d", e.Ref, first)}
		}
		seen[e.Ref] = e.line
		if len(seen) > maxEntities {
			return parsed{}, &FileError{name, e.line, fmt.Sprintf("has more than %d entities", maxEntities)}
		}
		result.entities = append(result.entities, e)
	}
}

var lineOf = regexp.MustCompile(`^line (\d+): `)

// syntaxProblem takes the line out of the parser's message.
func syntaxProblem(name string, err error) *FileError {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if found := lineOf.FindStringSubmatch(message); found != nil {
		line, _ = strconv.Atoi(found[1]) // only digits matched
		message = message[len(found[0]):]
	}
	return &FileError{name, line, "is not valid YAML: " + message}
}

// documentReader reads one entity and keeps the first problem.
type documentReader struct {
	name     string
	problem  *FileError
	warnings []FileError
}

func (d *documentReader) fail(at *yaml.Node, format string, args ...any) {
	if d.problem == nil {
		d.problem = &FileError{d.name, at.Line, fmt.Sprintf(format, args...)}
	}
}

func (d *documentReader) warn(at *yaml.Node, format string, args ...any) {
	d.warnings = append(d.warnings, FileError{d.name, at.Line, fmt.Sprintf(format, args...)})
}

// read returns the entity; ok is false if the document is none of the catalog's.
func (d *documentReader) read(root *yaml.Node) (e entity, ok bool) {
	if root.Kind != yaml.MappingNode {
		d.fail(root, "an entity must be a mapping with apiVersion, kind and metadata")
		return e, false
	}
	version, versionAt := d.text(root, "apiVersion")
	kind, kindAt := d.text(root, "kind")
	switch {
	case d.problem != nil:
		return e, false
	case version == "":
		d.fail(root, "has no apiVersion: expected backstage.io/v1alpha1")
		return e, false
	case !strings.HasPrefix(version, "backstage.io/"):
		d.warn(versionAt, "apiVersion %q is not backstage.io/v1alpha1 or backstage.io/v1beta1: the document was passed over", version)
		return e, false
	case version != "backstage.io/v1alpha1" && version != "backstage.io/v1beta1":
		d.fail(versionAt, "apiVersion must be backstage.io/v1alpha1 or backstage.io/v1beta1, got %q", version)
		return e, false
	case kind == "":
		d.fail(root, "has no kind")
		return e, false
	}
	if strings.EqualFold(kind, "location") {
		d.warn(kindAt, "a Location is not followed: configure the files that it names")
	}
	ref := d.metadata(root, kind, &e)
	if d.problem != nil {
		return entity{}, false
	}
	d.spec(root, ref, &e)
	return e, d.problem == nil
}

// metadata reads who the entity is.
func (d *documentReader) metadata(root *yaml.Node, kind string, e *entity) signalbox.EntityRef {
	metadata := d.section(root, "metadata")
	name, at := d.text(metadata, "name")
	if d.problem != nil {
		return signalbox.EntityRef{}
	}
	if name == "" {
		d.fail(root, "has no metadata.name")
		return signalbox.EntityRef{}
	}
	namespace, _ := d.text(metadata, "namespace")
	if namespace == "" {
		namespace = signalbox.DefaultNamespace
	}
	if strings.ContainsAny(kind+namespace, ":/") {
		d.fail(at, "kind and metadata.namespace must not contain ':' or '/'")
		return signalbox.EntityRef{}
	}
	ref, err := signalbox.ParseEntityRef(kind + ":" + namespace + "/" + name)
	if err != nil {
		d.fail(at, "%v", err)
		return ref
	}
	e.Ref, e.line = ref.String(), at.Line
	e.Title, _ = d.text(metadata, "title")
	if e.Title == "" {
		e.Title = name
	}
	if annotations := d.section(metadata, "annotations"); annotations != nil {
		e.Annotations = make(map[string]string, len(annotations.Content)/2)
		for i := 0; i+1 < len(annotations.Content); i += 2 {
			value := resolved(annotations.Content[i+1])
			if value.Kind != yaml.ScalarNode {
				d.fail(value, "an annotation must be a text")
				return ref
			}
			e.Annotations[annotations.Content[i].Value] = value.Value
		}
	}
	return ref
}

// spec reads the relations that the entity states. References default to the
// kind that Backstage gives them at that place, and to the entity's namespace.
func (d *documentReader) spec(root *yaml.Node, ref signalbox.EntityRef, e *entity) {
	spec := d.section(root, "spec")
	profile := d.section(spec, "profile")
	if name, _ := d.text(profile, "displayName"); name != "" {
		e.Title = name
	}
	e.Email, _ = d.text(profile, "email")
	switch ref.Kind {
	case "user":
		e.memberOf = d.refs(spec, "memberOf", "group", ref.Namespace)
	case "group":
		e.members = d.refs(spec, "members", "user", ref.Namespace)
		e.parent = d.refs(spec, "parent", "group", ref.Namespace)
		e.children = d.refs(spec, "children", "group", ref.Namespace)
	default:
		e.owner = d.refs(spec, "owner", "group", ref.Namespace)
	}
}

// refs reads one reference or a list of them.
func (d *documentReader) refs(section *yaml.Node, key, kind, namespace string) []string {
	value := child(section, key)
	if value == nil {
		return nil
	}
	items := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		items = value.Content
	}
	refs := make([]string, 0, len(items))
	for _, item := range items {
		item = resolved(item)
		if item.Kind != yaml.ScalarNode || item.Value == "" || item.Tag == "!!null" {
			d.fail(item, "spec.%s must be entity references", key)
			return nil
		}
		ref, err := signalbox.NormalizeEntityRef(complete(item.Value, kind, namespace))
		if err != nil {
			d.fail(item, "spec.%s: %v", key, err)
			return nil
		}
		refs = append(refs, ref)
	}
	return refs
}

// complete adds what a reference leaves to its context.
func complete(ref, kind, namespace string) string {
	if before, after, ok := strings.Cut(ref, ":"); ok {
		kind, ref = before, after
	}
	if before, after, ok := strings.Cut(ref, "/"); ok {
		namespace, ref = before, after
	}
	return kind + ":" + namespace + "/" + ref
}

// section returns a mapping below another; nil if it is absent.
func (d *documentReader) section(parent *yaml.Node, key string) *yaml.Node {
	value := child(parent, key)
	if value != nil && value.Kind != yaml.MappingNode {
		d.fail(value, "%s must be a mapping", key)
		return nil
	}
	return value
}

// text returns a scalar below a mapping; "" if it is absent.
func (d *documentReader) text(parent *yaml.Node, key string) (string, *yaml.Node) {
	value := child(parent, key)
	if value == nil {
		return "", parent
	}
	if value.Kind != yaml.ScalarNode {
		d.fail(value, "%s must be a text", key)
		return "", value
	}
	return value.Value, value
}

// child returns what stands at a key of a mapping; null is absent.
func child(parent *yaml.Node, key string) *yaml.Node {
	if parent == nil {
		return nil
	}
	for i := 0; i+1 < len(parent.Content); i += 2 {
		if parent.Content[i].Value == key {
			value := resolved(parent.Content[i+1])
			if value.Kind == yaml.ScalarNode && value.Tag == "!!null" {
				return nil
			}
			return value
		}
	}
	return nil
}

// resolved follows an alias to its anchor.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// sorted returns refs in order and once each, as Backstage lists relations.
func sorted(refs []string) []string {
	slices.Sort(refs)
	return slices.Compact(refs)
}
