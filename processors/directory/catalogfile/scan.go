package catalogfile

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFiles bounds the files of a catalog.
const maxFiles = 10_000

// scan looks at all files once and, if one changed, derives the relations anew.
func (c *Catalog) scan() {
	c.scanning.Lock()
	defer c.scanning.Unlock()
	names, named, remarks := c.list()
	for _, name := range names {
		if c.files[name] == nil {
			c.files[name] = &file{name: name, content: readFile}
		}
	}
	changed := c.current.Load() == nil
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		f := c.files[name]
		before := f.problem
		differs := f.look()
		if f.absent > 1 && !named[name] {
			// A file that is named must be there; one that a pattern found may go.
			delete(c.files, name)
			changed = true
			c.log.Info("a catalog file is gone", slog.String("file", name), slog.Int("entities", len(f.entities)))
			continue
		}
		if differs {
			changed = true
			c.say(f, before)
		}
	}
	if changed {
		remarks = append(remarks, c.publish()...)
	}
	c.remark(remarks, changed)
}

// list expands the patterns. named are the files that are named literally; they
// belong to the catalog whether they exist or not.
func (c *Catalog) list() (names []string, named map[string]bool, remarks []FileError) {
	named = make(map[string]bool)
	for _, pattern := range c.config.Files {
		if !strings.ContainsAny(pattern, `*?[\`) {
			names = append(names, filepath.Clean(pattern))
			named[filepath.Clean(pattern)] = true
			continue
		}
		matches, _ := filepath.Glob(pattern) // New refused bad patterns
		found := 0
		for _, match := range matches {
			if hidden(match, pattern) {
				continue
			}
			if stat, err := os.Stat(match); err == nil && stat.IsDir() {
				continue
			}
			names = append(names, filepath.Clean(match))
			found++
		}
		if found == 0 {
			remarks = append(remarks, FileError{File: pattern, Message: "matches no file"})
		}
	}
	if len(names) > maxFiles {
		remarks = append(remarks, FileError{File: names[maxFiles], Message: "is passed over, as are those after it: there are too many files"})
		names = names[:maxFiles]
	}
	return names, named, remarks
}

// hidden reports whether a pattern is not meant to match a name: the leavings of
// editors and the folders behind the links of Kubernetes begin with a dot.
func hidden(name, pattern string) bool {
	return strings.HasPrefix(filepath.Base(name), ".") && !strings.HasPrefix(filepath.Base(pattern), ".")
}

// say logs what became of a file that changed.
func (c *Catalog) say(f *file, before *FileError) {
	if f.problem != nil {
		problem := slog.String("problem", f.problem.Error())
		if f.loaded {
			c.log.Warn("a catalog file is broken: its last good state stays in use", problem)
		} else {
			c.log.Warn("a catalog file is broken: what needs the directory waits until it is mended", problem)
		}
		return
	}
	for i := range f.warnings {
		c.log.Warn("catalog file", slog.String("problem", f.warnings[i].Error()))
	}
	file, entities := slog.String("file", f.name), slog.Int("entities", len(f.entities))
	if before != nil {
		c.log.Info("a catalog file is good again", file, entities)
		return
	}
	c.log.Info("read a catalog file", file, entities)
}

// publish makes the state that lookups see, and returns the conflicts in it.
func (c *Catalog) publish() []FileError {
	var (
		files []contents
		next  = &state{}
	)
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		f := c.files[name]
		if f.problem != nil {
			next.problems = append(next.problems, *f.problem)
			if !f.loaded {
				next.unread = append(next.unread, *f.problem)
			}
		}
		files = append(files, contents{name, f.entities})
	}
	var conflicts []FileError
	next.index, conflicts = newIndex(files)
	next.problems = append(next.problems, conflicts...)
	c.current.Store(next)
	c.metrics.entities.Set(float64(len(next.index)))
	c.metrics.files.Set(float64(len(c.files)))
	broken := 0
	for _, f := range c.files {
		if f.problem != nil {
			broken++
		}
	}
	c.metrics.broken.Set(float64(broken))
	return conflicts
}

// remark logs what was not logged before. After a change only the present
// remarks count, so that what was mended and broken again is said again.
func (c *Catalog) remark(remarks []FileError, changed bool) {
	const most = 20 // the rest is of the same kind
	said := make(map[string]bool)
	for i := range remarks {
		text := remarks[i].Error()
		said[text] = true
		if !c.warned[text] && i < most {
			c.log.Warn("catalog files", slog.String("problem", text))
		}
	}
	if changed {
		c.warned = said
		return
	}
	maps.Copy(c.warned, said)
}
