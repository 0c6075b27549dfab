package oidc

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// A refresh token is encrypted with a key that is made of what the browser has, of
// which the store has only a hash: a copy of the database is worth nothing, there is
// no key to configure or to lose, and the token can be used only while its user is
// there.

// seal encrypts a token for a session; nil for none.
func seal(secret []byte, id, token string) ([]byte, error) {
	if token == "" {
		return nil, nil
	}
	box, err := boxOf(secret)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, box.NonceSize(), box.NonceSize()+len(token)+box.Overhead())
	_, _ = rand.Read(nonce) // it cannot fail
	return box.Seal(nonce, nonce, []byte(token), []byte(id)), nil
}

// unseal undoes seal.
func unseal(secret []byte, id string, sealed []byte) (string, error) {
	box, err := boxOf(secret)
	if err != nil {
		return "", err
	}
	if len(sealed) < box.NonceSize() {
		return "", errors.New("oidc: what a session has sealed is cut off")
	}
	token, err := box.Open(nil, sealed[:box.NonceSize()], sealed[box.NonceSize():], []byte(id))
	if err != nil {
		return "", errors.New("oidc: what a session has sealed is not its own")
	}
	return string(token), nil
}

func boxOf(secret []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "signalbox session: refresh token", 32)
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	return cipher.NewGCM(block)
}
