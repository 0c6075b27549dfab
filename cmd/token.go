package cmd

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// senderTokenFile holds, in the data folder, the token with which the operator's
// own machine may send while no service tokens are configured.
const senderTokenFile = "sender.token"

// senderSubject is the origin of what is sent with that token.
const senderSubject = "local"

// senderToken reads the token from the data folder, or makes it. Only its owner
// can read the file.
func senderToken(data string) (token, path string, err error) {
	path, err = filepath.Abs(filepath.Join(data, senderTokenFile))
	if err != nil {
		return "", "", fmt.Errorf("sender token: %w", err)
	}
	token, err = readToken(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return token, path, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", "", fmt.Errorf("sender token: %w", err)
	}
	token = rand.Text()
	// O_EXCL: of two starts at the same time, one makes the token.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // G304: in the operator's data folder
	if errors.Is(err, fs.ErrExist) {
		token, err = readToken(path)
		return token, path, err
	}
	if err != nil {
		return "", "", fmt.Errorf("sender token: %w", err)
	}
	if _, err := file.WriteString(token + "\n"); err != nil {
		return "", "", errors.Join(fmt.Errorf("sender token: %w", err), file.Close(), os.Remove(path))
	}
	if err := file.Close(); err != nil {
		return "", "", fmt.Errorf("sender token: %w", err)
	}
	return token, path, nil
}

// readToken reads a token from a file, without the white space around it.
func readToken(path string) (string, error) {
	content, err := os.ReadFile(path) //nolint:gosec // G304: the operator names the file
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("token: %s is empty", path)
	}
	return token, nil
}
