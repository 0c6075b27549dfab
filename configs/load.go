package configs

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/signalbox/signalbox"
)

// Sources are where a configuration is read from.
type Sources struct {
	// Files are the names of YAML files; later ones win. Where there are none,
	// [FilesVariable] may name some. Defaults to none: no file is looked for.
	Files []string
	// Environ has NAME=value pairs, as os.Environ returns them: SIGNALBOX_*
	// variables set keys, and all of them can be substituted in files.
	// Defaults to none.
	Environ []string
	// Overrides win over everything else, in order. cmd fills them from flags.
	Overrides []Override
}

// Override sets one key, whatever files and environment say.
type Override struct {
	// Key is the path of the key, one of [Keys].
	Key string
	// Value is the text of the value; an empty one counts. Keys that hold
	// structures take YAML.
	Value string
	// From says where it comes from in messages, such as "--listen".
	From string
}

// Load reads, merges and validates the configuration. The error is an [*Error]
// with every problem that was found, and then the configuration must not be used.
// Warnings are about what was read and has no effect; they come with and without
// an error.
func Load(sources Sources) (Config, []Problem, error) {
	lookup := lookupIn(sources.Environ)
	files := sources.Files
	if len(files) == 0 {
		named, _ := lookup(FilesVariable)
		for name := range strings.SplitSeq(named, ",") {
			if name = strings.TrimSpace(name); name != "" {
				files = append(files, name)
			}
		}
	}

	root := &node{kind: mapping}
	var problems []Problem
	for i, name := range files {
		tree, found := loadFile(name, i)
		problems = append(problems, found...)
		if tree != nil {
			root = overlay("", root, tree)
		}
	}
	if len(problems) > 0 {
		// What cannot be read would be reported as missing below.
		return Config{}, nil, &Error{Problems: inOrder(problems)}
	}

	variables, found, warnings := environment(sources.Environ, len(files))
	problems = append(problems, found...)
	root = overlay("", root, variables)
	for i, o := range sources.Overrides {
		problems = append(problems, apply(o, root, len(files)+len(sources.Environ)+i)...)
	}

	r := &reader{lookup: lookup, problems: problems, warnings: warnings, seen: map[string]*node{}}
	c := Default()
	r.read(&c, root, "")
	r.fillIn(&c)
	r.validate(c)
	if len(r.problems) > 0 {
		return Config{}, inOrder(r.warnings), &Error{Problems: inOrder(r.problems)}
	}
	return c, inOrder(r.warnings), nil
}

// lookupIn returns a function like os.LookupEnv; the last of equal names counts,
// as it does for a process.
func lookupIn(environ []string) func(string) (string, bool) {
	values := make(map[string]string, len(environ))
	for _, variable := range environ {
		if name, value, ok := strings.Cut(variable, "="); ok {
			values[name] = value
		}
	}
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

func loadFile(name string, order int) (*node, []Problem) {
	content, err := readFile(name)
	if err != nil {
		// The name of the file is the problem's source already.
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		return nil, []Problem{{Source: name, order: order, Message: "cannot be read: " + err.Error()}}
	}
	tree, problems := parseYAML(name, order, content)
	if len(problems) > 0 {
		return nil, problems
	}
	if tree.kind == null {
		tree.kind = mapping
	}
	if tree.kind != mapping {
		return nil, []Problem{problemAt(&node{at: tree.at}, "", "must hold sections at its top level, not "+tree.kind.String())}
	}
	return tree, nil
}

// apply puts an override into root.
func apply(o Override, root *node, order int) []Problem {
	all := keys()
	i := slices.IndexFunc(all, func(k key) bool { return k.path == o.Key })
	if i < 0 {
		return []Problem{{Source: o.From, order: order, Key: o.Key, Message: "unknown key" + didYouMean(suggest(o.Key, Keys()))}}
	}
	n, problems := all[i].fromText(o.Value, place{source: o.From, order: order})
	if n != nil {
		root.put(o.Key, n)
	}
	return problems
}

// read walks a section and reads the keys it knows.
func (r *reader) read(c *Config, section *node, path string) {
	for _, f := range section.fields {
		fieldPath := join(path, f.key)
		switch known, below := find(fieldPath); {
		case known == nil && !below:
			r.unknown(f, section, path)
		case f.value.kind == null:
		case known != nil:
			r.seen[fieldPath] = f.value
			known.read(c, r.at(f.value, fieldPath))
		default:
			if s := r.at(f.value, fieldPath).section(); s != nil {
				r.read(c, s.n, fieldPath)
			}
		}
	}
}

// find returns the key with this path, or tells that there are keys below it.
func find(path string) (known *key, below bool) {
	for _, k := range keys() {
		if k.path == path {
			return &k, false
		}
		if strings.HasPrefix(k.path, path+".") {
			below = true
		}
	}
	return nil, below
}

// unknown reports a key that is none, unless it is Backstage's.
func (r *reader) unknown(f field, section *node, path string) {
	name, meant := r.name(f, path), suggestKey(f.key, path)
	switch {
	case path == "" && slices.Contains(backstageSections(), f.key):
	case slices.Contains(openSections(), path):
		if meant != "" {
			name.warn("is not a key of Signalbox and is ignored" + didYouMean(meant))
		}
	case path == "" && meant == "" && isBackstage(section):
		name.warn("is taken for the section of a Backstage plugin and ignored")
	default:
		name.failSecret("unknown key" + didYouMean(meant))
	}
}

// suggestKey returns the key that was probably meant by name in the section
// path: a similar one beside it, or one of the same name elsewhere.
func suggestKey(name, path string) string {
	var beside []string
	for _, k := range Keys() {
		if rest, ok := strings.CutPrefix(k, path+"."); ok || path == "" {
			if path == "" {
				rest = k
			}
			beside = append(beside, split(rest)[0])
		}
	}
	if meant := suggest(name, beside); meant != "" {
		return join(path, meant)
	}
	if slices.Contains(openSections(), path) {
		return "" // Backstage may well have a key of that name there
	}
	for _, k := range Keys() {
		parts := split(k)
		if strings.EqualFold(parts[len(parts)-1], name) {
			return k
		}
	}
	return ""
}

// fillIn sets the defaults that depend on other keys.
func (r *reader) fillIn(c *Config) {
	unset := func(key string) bool { return r.seen[key] == nil }
	if unset("database") {
		c.Database = SQLiteIn(c.Data)
	}
	if unset("auth.guest.enabled") {
		_, backstage := c.Backstage()
		c.Auth.Guest.Enabled = !backstage && !c.Auth.identifiesUsers() && isLoopback(c.Listen) && isLocalURL(c.App.BaseURL) && isLocalURL(c.PublicURL()) &&
			len(c.TrustedProxies) == 0
	}
	if where, ok := c.Backstage(); ok && c.Directory.IsZero() {
		c.Directory.Backstage.BaseURL = where.BaseURL
	}
	if unset("cors.origins") {
		if origin, ok := signalbox.WebOrigin(c.App.BaseURL); ok {
			c.CORS.Origins = []string{origin}
		}
	}
	// A bound that was set moves the default of the other one with it.
	if unset("pipeline.processorTimeout") {
		c.Pipeline.ProcessorTimeout = min(c.Pipeline.ProcessorTimeout, c.Pipeline.Lease*2/3)
	}
	if unset("pipeline.retry.min") {
		c.Pipeline.Retry.Min = min(c.Pipeline.Retry.Min, c.Pipeline.Retry.Max)
	}
	if unset("pipeline.retry.max") {
		c.Pipeline.Retry.Max = max(c.Pipeline.Retry.Max, c.Pipeline.Retry.Min)
	}
}

// validate adds what [Config.Validate] finds to what reading found, at the
// places where the keys were written.
func (r *reader) validate(c Config) {
	reported := map[string]bool{}
	for _, p := range r.problems {
		reported[p.Key] = true
	}
	for _, p := range c.invalid() {
		// What could not be read has its default now, which is not to blame.
		if n := r.node(p.Key); n != nil && !reported[p.Key] {
			r.problems = append(r.problems, problemAt(n, p.Key, p.Message))
		}
	}
	if len(r.problems) > 0 {
		return
	}
	if p, refused := c.closedToAll(); refused {
		r.at(r.node(p.Key), p.Key).failSecret(p.Message)
	}
	r.warnAccess(c)
}

// node returns what a key was read from, or nil if it was not set. An item of a
// list that was written as one text is where the list is.
func (r *reader) node(key string) *node {
	if n := r.seen[key]; n != nil {
		return n
	}
	list, _, _ := strings.Cut(key, "[")
	return r.seen[list]
}

// warnAccess tells of settings that are valid, and probably not what is wanted.
func (r *reader) warnAccess(c Config) {
	const key = "auth.guest.enabled"
	guest := entry{reader: r, n: r.seen[key], around: &node{}, path: key}
	switch {
	case c.Auth.Guest.Enabled && !isLoopback(c.Listen):
		guest.warn("opens the server to everyone who can reach it: they may read every inbox")
	case !c.Auth.Guest.Enabled && !c.knowsSomebody() && isLoopback(c.Listen):
		guest.warn("is false, and nothing else says who may use it: only the local sender can send, and nobody can read")
	}
}
