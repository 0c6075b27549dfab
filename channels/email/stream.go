package email

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// stream writes mails to files, or one after the other to a writer.
type stream struct {
	Stream
	mu sync.Mutex
}

func (s *stream) send(ctx context.Context, e envelope) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if s.Directory == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, err := fmt.Fprintf(s.Writer, "%s\r\n", e.message); err != nil {
			return "", fmt.Errorf("email: write: %w", err)
		}
		return "written", nil
	}
	name := filepath.Join(s.Directory, e.id+".eml")
	if err := s.write(name, e.message); err != nil {
		return "", fmt.Errorf("email: %w", err)
	}
	return "written to " + name, nil
}

// write makes a whole file or none: whoever watches the directory sees no halves.
func (s *stream) write(name string, message []byte) error {
	if err := os.MkdirAll(s.Directory, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.Directory, ".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(message)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func (s *stream) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil || s.Directory == "" {
		return err
	}
	if err := os.MkdirAll(s.Directory, 0o700); err != nil {
		return fmt.Errorf("email: %w", err)
	}
	return nil
}

func (s *stream) close() error { return nil }
