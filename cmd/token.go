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

// senderToken reads the token from the data folder, or makes it.
func senderToken(data string) (token, path string, err error) {
	if token, path, err = keptSecret(data, senderTokenFile, rand.Text); err != nil {
		return "", "", fmt.Errorf("sender token: %w", err)
	}
	return token, path, nil
}

// keptSecret reads a secret from a file in the data folder, or makes and keeps one.
// Only its owner can read the file.
func keptSecret(data, name string, generate func() string) (secret, path string, err error) {
	path, err = filepath.Abs(filepath.Join(data, name))
	if err != nil {
		return "", "", err
	}
	secret, err = readToken(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return secret, path, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", "", err
	}
	// O_EXCL: of two starts at the same time, one makes the secret.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // G304: in the operator's data folder
	if errors.Is(err, fs.ErrExist) {
		secret, err = readToken(path)
		return secret, path, err
	}
	if err != nil {
		return "", "", err
	}
	secret = generate()
	_, err = file.WriteString(secret + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", "", errors.Join(err, os.Remove(path))
	}
	return secret, path, nil
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
