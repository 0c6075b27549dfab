package email

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"

	"github.com/signalbox/signalbox"

	"github.com/emersion/go-msgauth/dkim"
)

// signers sign messages, each in a header of its own.
type signers []*dkim.SignOptions

// signedHeaders are those of RFC 6376 section 5.4.1 that our messages have, and
// what RFC 8058 wants signed. Each of them that is there only once is named twice
// where a second one would change what people see: then nobody can add one.
var signedHeaders = []string{
	"From", "From", "To", "To", "Subject", "Subject", "Date", "Date", "Message-Id", "Reply-To", "Reply-To",
	"In-Reply-To", "References", "Mime-Version", "Content-Type", "Auto-Submitted",
	"List-Id", "List-Unsubscribe", "List-Unsubscribe-Post",
}

var selector = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

func newSigners(keys []DKIM) (signers, error) {
	all := make(signers, 0, len(keys))
	for _, key := range keys {
		domain, _, err := parseDomain(key.Domain)
		if err != nil {
			return nil, fmt.Errorf("email: DKIM: domain %q: %w", key.Domain, err)
		}
		if !selector.MatchString(key.Selector) {
			return nil, fmt.Errorf("email: DKIM: %q is not a selector", key.Selector)
		}
		signer, err := parseKey(key.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("email: DKIM: key of %s._domainkey.%s: %w", key.Selector, domain, err)
		}
		all = append(all, &dkim.SignOptions{
			Domain: domain, Selector: key.Selector, Signer: signer,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed,
			BodyCanonicalization:   dkim.CanonicalizationRelaxed,
			HeaderKeys:             signedHeaders,
		})
	}
	return all, nil
}

// parseKey reads a private key. Errors hold nothing of it.
func parseKey(text signalbox.Secret) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text.Reveal()))
	if block == nil {
		return nil, errors.New(`is not PEM ("-----BEGIN PRIVATE KEY-----")`)
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return strong(key)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("is neither a PKCS #1 nor a PKCS #8 private key without a password")
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return strong(key)
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("is neither RSA nor Ed25519")
}

// strong refuses keys that receivers refuse (RFC 8301 demands 1024 bits, and
// recommends 2048).
func strong(key *rsa.PrivateKey) (crypto.Signer, error) {
	if key.N.BitLen() < 2048 {
		return nil, fmt.Errorf("has %d bits: RSA keys need 2048 or more", key.N.BitLen())
	}
	return key, nil
}

// sign returns the message with a signature of each key before it.
func (s signers) sign(message []byte) ([]byte, error) {
	for _, options := range s {
		var signed bytes.Buffer
		if err := dkim.Sign(&signed, bytes.NewReader(message), options); err != nil {
			return nil, fmt.Errorf("email: DKIM: %w", err)
		}
		message = signed.Bytes()
	}
	return message, nil
}
