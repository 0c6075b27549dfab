package smtpfake

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // CRAM-MD5 is what some servers have
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // SCRAM-SHA-1 is what some servers have
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

var errCredentials = &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "Authentication credentials invalid"}

// mechanism returns the server's side of a mechanism, which calls ok at the end.
func (s *Server) mechanism(name string, ok func()) (sasl.Server, error) {
	s.mu.Lock()
	user, password := s.config.Username, s.password
	s.mu.Unlock()
	check := func(good bool) error {
		if !good {
			return errCredentials
		}
		ok()
		return nil
	}
	switch name {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, u, p string) error { return check(u == user && p == password) }), nil
	case "LOGIN":
		return &steps{next: []step{
			func([]byte) ([]byte, error) { return []byte("Username:"), nil },
			func(u []byte) ([]byte, error) {
				if string(u) != user {
					return nil, errCredentials
				}
				return []byte("Password:"), nil
			},
			func(p []byte) ([]byte, error) { return nil, check(string(p) == password) },
		}}, nil
	case "CRAM-MD5":
		const challenge = "<1896.697170952@mail.example.com>"
		return &steps{next: []step{
			func([]byte) ([]byte, error) { return []byte(challenge), nil },
			func(answer []byte) ([]byte, error) {
				mac := hmac.New(md5.New, []byte(password))
				mac.Write([]byte(challenge))
				return nil, check(string(answer) == user+" "+hex.EncodeToString(mac.Sum(nil)))
			},
		}}, nil
	case "XOAUTH2":
		return &steps{next: []step{
			func(answer []byte) ([]byte, error) {
				return nil, check(string(answer) == "user="+user+"\x01auth=Bearer "+password+"\x01\x01")
			},
		}}, nil
	case "SCRAM-SHA-1":
		return scram(sha1.New, user, password, check), nil
	case "SCRAM-SHA-256":
		return scram(sha256.New, user, password, check), nil
	}
	return nil, errors.New("unknown mechanism")
}

// step answers one message of the client.
type step func(response []byte) (challenge []byte, err error)

// steps is a mechanism of a fixed number of steps.
type steps struct{ next []step }

// Next implements sasl.Server.
func (s *steps) Next(response []byte) (challenge []byte, done bool, err error) {
	if len(s.next) == 0 {
		return nil, false, sasl.ErrUnexpectedClientResponse
	}
	challenge, err = s.next[0](response)
	s.next = s.next[1:]
	return challenge, len(s.next) == 0, err
}

// scram is the server's side of RFC 5802, without channel binding.
func scram(newHash func() hash.Hash, user, password string, check func(bool) error) sasl.Server {
	const iterations = 4096
	salt, nonce := []byte("a salt of a test"), "server-nonce"
	var clientFirst, serverFirst string
	sum := func(key []byte, text string) []byte {
		mac := hmac.New(newHash, key)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	return &steps{next: []step{
		func([]byte) ([]byte, error) { return nil, nil }, // the client begins when it is asked to
		func(response []byte) ([]byte, error) {
			clientFirst = strings.TrimPrefix(string(response), "n,,")
			name, clientNonce, ok := strings.Cut(clientFirst, ",r=")
			if !ok || name != "n="+user {
				return nil, errCredentials
			}
			nonce = clientNonce + nonce
			serverFirst = fmt.Sprintf("r=%s,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString(salt), iterations)
			return []byte(serverFirst), nil
		},
		func(response []byte) ([]byte, error) {
			withoutProof, proofText, ok := strings.Cut(string(response), ",p=")
			proof, err := base64.StdEncoding.DecodeString(proofText)
			if !ok || err != nil || !strings.HasSuffix(withoutProof, ",r="+nonce) {
				return nil, errCredentials
			}
			salted, err := pbkdf2.Key(newHash, password, salt, iterations, newHash().Size())
			if err != nil {
				return nil, err
			}
			clientKey := sum(salted, "Client Key")
			stored := newHash()
			stored.Write(clientKey)
			message := clientFirst + "," + serverFirst + "," + withoutProof
			want := sum(stored.Sum(nil), message)
			for i := range want {
				want[i] ^= clientKey[i]
			}
			if !hmac.Equal(want, proof) {
				return nil, errCredentials
			}
			return []byte("v=" + base64.StdEncoding.EncodeToString(sum(sum(salted, "Server Key"), message))), nil
		},
		func([]byte) ([]byte, error) { return nil, check(true) },
	}}
}
