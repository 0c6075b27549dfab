package catalogfile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxFileBytes bounds one file.
const maxFileBytes = 64 << 20

// file is one file of the catalog, and the last good state of it.
type file struct {
	name string
	// content reads it.
	content func(name string) ([]byte, error)
	// stat is what the last look saw; settled is set once a content was read that
	// had not changed for a whole interval.
	stat    fs.FileInfo
	settled bool
	digest  [sha256.Size]byte
	// absent counts the looks in a row that did not find it.
	absent int

	// loaded is set once the file was good; entities are those of then.
	loaded   bool
	entities []entity
	// problem is what is wrong with it now; nil if it is good.
	problem  *FileError
	warnings []FileError
}

// look reads the file if it changed. It reports whether its state did.
func (f *file) look() (changed bool) {
	stat, err := os.Stat(f.name) // follows links, as those that Kubernetes swaps
	if err != nil {
		f.stat = nil
		if !errors.Is(err, fs.ErrNotExist) {
			f.absent = 0 // it may well be there
			return f.unreadable(err)
		}
		f.absent++
		if f.absent == 1 && f.loaded {
			return false // an editor may be just replacing it
		}
		return f.unreadable(err)
	}
	f.absent = 0
	before := f.stat
	f.stat = stat
	same := before != nil && os.SameFile(before, stat) && before.Size() == stat.Size() && before.ModTime().Equal(stat.ModTime())
	switch {
	case same && f.settled:
		return false
	case same:
		f.settled = true
	default:
		f.settled = false
		if f.loaded {
			return false // it may be in the middle of being written
		}
	}
	return f.read()
}

// read takes the file's content over if it is good.
func (f *file) read() (changed bool) {
	content, err := f.content(f.name)
	if err != nil {
		return f.unreadable(err)
	}
	digest := sha256.Sum256(content)
	if digest == f.digest {
		return false
	}
	f.digest = digest
	p, problem := parse(f.name, content)
	if problem != nil {
		return f.broken(problem)
	}
	f.loaded, f.entities, f.warnings, f.problem = true, p.entities, p.warnings, nil
	return true
}

// unreadable forgets which content was read last, so that the same content counts
// when it is back, and that the file is settled: what keeps it from being read may pass
// and leave no trace on the file.
func (f *file) unreadable(err error) bool {
	f.settled = false
	f.digest = [sha256.Size]byte{}
	return f.broken(&FileError{File: f.name, Message: reason(err)})
}

// broken keeps the last good state. It reports whether the problem is new.
func (f *file) broken(problem *FileError) bool {
	if f.problem != nil && *f.problem == *problem {
		return false
	}
	f.problem = problem
	return true
}

var errTooLarge = fmt.Errorf("is larger than %d MiB", maxFileBytes>>20)

func readFile(name string) ([]byte, error) {
	opened, err := os.Open(name) //nolint:gosec // G304: reading the files that the operator names is the purpose
	if err != nil {
		return nil, err
	}
	defer func() { _ = opened.Close() }() // it was only read
	switch stat, err := opened.Stat(); {
	case err != nil: // reading says why
	case stat.IsDir():
		return nil, errors.New("is a directory")
	case stat.Size() > maxFileBytes:
		return nil, errTooLarge // not read at every look
	}
	content, err := io.ReadAll(io.LimitReader(opened, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		err = errTooLarge
	}
	return content, err
}

// reason is err without the name of the file, which the problem has already.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return "cannot be read: " + err.Error()
}
