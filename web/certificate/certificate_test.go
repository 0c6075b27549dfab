package certificate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/web/certificate"
)

// pair makes a certificate for localhost and its key, as PEM.
func pair(t *testing.T, name string, expires time.Time) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Unix(0, 0), NotAfter: expires,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

// bench is a certificate under test, with its files and its clock.
type bench struct {
	*certificate.Certificate
	cert, key string
	log       bytes.Buffer
	now       time.Time
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, cert, key []byte) (*bench, error) {
	t.Helper()
	b := &bench{cert: filepath.Join(t.TempDir(), "tls.crt"), key: filepath.Join(t.TempDir(), "tls.key"), now: time.Unix(1_800_000_000, 0)}
	if cert != nil {
		write(t, b.cert, cert)
	}
	if key != nil {
		write(t, b.key, key)
	}
	var err error
	b.Certificate, err = certificate.Open(certificate.Config{
		CertFile: b.cert, KeyFile: b.key, Now: func() time.Time { return b.now },
		Logger: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	return b, err
}

// later is a time at which the files are looked at again.
func (b *bench) later() { b.now = b.now.Add(3 * time.Second) }

// serves tells whose certificate a client sees, over a real connection.
func (b *bench) serves(t *testing.T, client *tls.Config) (string, tls.ConnectionState, error) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", b.TLS())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = conn.Read(make([]byte, 1))
	}()
	defer func() { <-served }()
	client.InsecureSkipVerify = true
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", ln.Addr().String(), client)
	if err != nil {
		_ = ln.Close()
		return "", tls.ConnectionState{}, err
	}
	defer conn.Close()
	state := conn.ConnectionState()
	return state.PeerCertificates[0].Subject.CommonName, state, nil
}

func (b *bench) want(t *testing.T, name string) {
	t.Helper()
	if got, _, err := b.serves(t, &tls.Config{}); err != nil || got != name {
		t.Errorf("serves %q, %v, want %q", got, err, name)
	}
}

var (
	nextYear = time.Unix(1_830_000_000, 0)
	lastYear = time.Unix(1_770_000_000, 0)
)

func TestReplacedFilesAreServed(t *testing.T) {
	cert, key := pair(t, "first", nextYear)
	b, err := open(t, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	b.want(t, "first")
	if !b.Expires().Equal(nextYear) {
		t.Error(b.Expires())
	}

	cert, key = pair(t, "second", nextYear.Add(time.Hour))
	write(t, b.cert, cert)
	write(t, b.key, key)
	b.want(t, "first") // it was looked at just now
	b.later()
	b.want(t, "second")
	if !b.Expires().Equal(nextYear.Add(time.Hour)) || !strings.Contains(b.log.String(), "was replaced") {
		t.Errorf("%s\n%s", b.Expires(), &b.log)
	}
	logged := b.log.Len()
	b.later()
	b.want(t, "second")
	if b.log.Len() != logged {
		t.Errorf("what did not change is logged: %s", &b.log)
	}
}

func TestBrokenFilesChangeNothing(t *testing.T) {
	cert, key := pair(t, "first", nextYear)
	b, err := open(t, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	newCert, newKey := pair(t, "second", nextYear)
	for name, spoil := range map[string]func(){
		"half of a replacement": func() { write(t, b.cert, newCert) },
		"a torn write":          func() { write(t, b.cert, newCert[:len(newCert)/2]) },
		"no certificate":        func() { _ = os.Remove(b.cert) },
		"no key":                func() { _ = os.Remove(b.key) },
		"an empty key":          func() { write(t, b.key, nil) },
		"a huge file":           func() { write(t, b.cert, bytes.Repeat([]byte{'\n'}, 2<<20)) },
	} {
		b.log.Reset()
		spoil()
		for range 3 {
			b.later()
			b.want(t, "first")
		}
		if n := strings.Count(b.log.String(), "level=ERROR"); n != 1 || strings.Contains(b.log.String(), "PRIVATE KEY") {
			t.Errorf("%s: logged %d times: %s", name, n, &b.log)
		}
		write(t, b.cert, cert)
		write(t, b.key, key)
		b.later()
		b.want(t, "first")
	}
	// And the problem is over when the other half comes.
	write(t, b.cert, newCert)
	b.later()
	b.want(t, "first")
	write(t, b.key, newKey)
	b.later()
	b.want(t, "second")
}

func TestUnusableFilesAreRefused(t *testing.T) {
	cert, key := pair(t, "first", nextYear)
	other, _ := pair(t, "other", nextYear)
	for name, c := range map[string]struct {
		cert, key []byte
		want      string
	}{
		"no certificate": {nil, key, "tls.crt: no such file"},
		"no key":         {cert, nil, "tls.key: no such file"},
		"no PEM":         {[]byte("x"), key, "failed to find any PEM data"},
		"swapped":        {key, cert, "PEM inputs may have been switched"},
		"mismatched":     {other, key, "private key does not match public key"},
	} {
		if _, err := open(t, c.cert, c.key); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cert, key = pair(t, "old", lastYear)
	if b, err := open(t, cert, key); err != nil || !strings.Contains(b.log.String(), "has expired") {
		t.Errorf("expired: %v, %s", err, &b.log)
	}
}

func TestOldProtocolsAreRefused(t *testing.T) {
	cert, key := pair(t, "first", nextYear)
	b, err := open(t, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.serves(t, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is served")
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		_, state, err := b.serves(t, &tls.Config{MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil || state.Version != version || state.NegotiatedProtocol != "http/1.1" {
			t.Errorf("%s: %v, protocol %q", tls.VersionName(version), err, state.NegotiatedProtocol)
		}
	}
}
