package email

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox/signalbox"

	msgauth "github.com/emersion/go-msgauth/dkim"
	toorop "github.com/toorop/go-dkim"
)

func pemOf(t testing.TB, key any) signalbox.Secret {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signalbox.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func record(t testing.TB, key crypto.PublicKey) string {
	t.Helper()
	if key, ok := key.(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

func TestDKIM(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]string{
		"r1._domainkey.example.org": record(t, &rsaKey.PublicKey),
		"e1._domainkey.example.org": record(t, edKey.Public()),
	}
	lookup := func(name string) ([]string, error) {
		if text, ok := records[name]; ok {
			return []string{text}, nil
		}
		return nil, fmt.Errorf("no record of %s", name)
	}
	c, last := toWriter(t, Config{
		Unsubscribe: links(t, "https://s.example/u"),
		DKIM: []DKIM{
			{Domain: "example.org", Selector: "r1", PrivateKey: pemOf(t, rsaKey)},
			{Domain: "Example.org", Selector: "e1", PrivateKey: pemOf(t, edKey)},
		},
	})
	for name, d := range samples() {
		t.Run(name, func(t *testing.T) {
			send(t, c, d)
			raw := last()
			parse(t, raw)
			if bad := verify(raw, lookup); bad != nil {
				t.Fatal(bad)
			}
			// What nobody may change, and what nobody may add.
			for what, changed := range map[string][]byte{
				"subject": bytes.Replace(raw, []byte("\r\nSubject: "), []byte("\r\nSubject: X"), 1),
				"body":    bytes.Replace(raw, []byte("This was sent"), []byte("This was Sent"), 1),
				"From":    append([]byte("From: x@example.org\r\n"), raw...),
				"Subject": append([]byte("Subject: x\r\n"), raw...),
			} {
				if bytes.Equal(raw, changed) {
					t.Fatalf("%s: nothing changed", what)
				}
				if verify(changed, lookup) == nil {
					t.Errorf("another %s is not noticed", what)
				}
			}
			if d.Audience.IsUser() {
				for _, header := range []string{"List-Unsubscribe", "List-Unsubscribe-Post"} {
					unsigned := bytes.Replace(raw, []byte("\r\n"+header+": "), []byte("\r\n"+header+": X"), 1)
					if verify(unsigned, lookup) == nil {
						t.Errorf("%s is not signed", header)
					}
				}
			}

			// The RSA signature by a library that shares nothing with the signer. It
			// looks at the first signature.
			only, found := bytes.CutPrefix(raw, raw[:bytes.Index(raw[1:], []byte("DKIM-Signature:"))+1])
			if !found || !bytes.Contains(only[:200], []byte("s=r1")) && !bytes.Contains(only, []byte("s=r1;")) {
				t.Fatalf("the second signature is not the RSA key's: %.300s", only)
			}
			options := toorop.DNSOptLookupTXT(lookup)
			status, err := toorop.Verify(&only, options)
			if status != toorop.SUCCESS {
				t.Errorf("the independent verifier: %v %v", status, err)
			}
			changed := bytes.Replace(only, []byte("This was sent"), []byte("This was Sent"), 1)
			if status, _ := toorop.Verify(&changed, options); status == toorop.SUCCESS {
				t.Error("the independent verifier accepts everything")
			}
		})
	}
}

// verify demands two good signatures.
func verify(raw []byte, lookup func(string) ([]string, error)) error {
	found, err := msgauth.VerifyWithOptions(bytes.NewReader(raw), &msgauth.VerifyOptions{LookupTXT: lookup})
	if err != nil {
		return err
	}
	if len(found) != 2 {
		return fmt.Errorf("%d signatures", len(found))
	}
	for _, v := range found {
		if v.Err != nil || v.Domain != "example.org" {
			return fmt.Errorf("signature of %s: %w", v.Domain, v.Err)
		}
	}
	return nil
}

func TestDKIMRefuses(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	_, good, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for want, key := range map[string]DKIM{
		"has 1024 bits":         {"example.org", "s", pemOf(t, weak)},
		"is not PEM":            {"example.org", "s", signalbox.NewSecret("hunter2")},
		"is not a selector":     {"example.org", "s;x", pemOf(t, good)},
		"its domain is not":     {"example", "s", pemOf(t, good)},
		"is neither a PKCS #1 ": {"example.org", "s", signalbox.NewSecret("-----BEGIN X-----\naHVudGVyMg==\n-----END X-----\n")},
	} {
		_, err := New(Config{Directory: janeOnly(), Sender: "a@example.org", Stream: &Stream{}, DKIM: []DKIM{key}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
