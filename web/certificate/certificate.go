// Package certificate owns the server's TLS certificate: it reads the files, and
// reads them again when they change.
//
// It imports the standard library only.
package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// maxFile bounds a certificate or key file.
const maxFile = 1 << 20

// lookEvery is the time between two looks at the files.
const lookEvery = 2 * time.Second

// Config configures a [Certificate].
type Config struct {
	// CertFile holds the server's certificate and, after it, those between it and
	// the root, KeyFile its private key, both as PEM.
	CertFile, KeyFile string
	// Logger gets when the files changed or became unusable. Defaults to discarding
	// it.
	Logger *slog.Logger
	// Now tells the time. Defaults to [time.Now].
	Now func() time.Time
}

// Certificate is a certificate whose files may be replaced at any time. Its methods
// may be called concurrently.
type Certificate struct {
	config Config

	current atomic.Pointer[tls.Certificate]

	// looking is held by who looks at the files; nobody waits for it, because file
	// systems can hang.
	looking   sync.Mutex
	looked    time.Time
	cert, key []byte
	// problem is what was last wrong with the files; empty if nothing.
	problem string
}

// Open reads the files. It returns an error, which names the file, if they cannot be
// read, are no certificate and key, or do not belong together; it holds nothing of
// the key.
func Open(config Config) (*Certificate, error) {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	c := &Certificate{config: config, looked: config.Now()}
	if _, err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// TLS returns the configuration of a server that uses the certificate: TLS 1.2 or
// later, HTTP/1.1. New connections get what is in the files; if that is not usable,
// they get what was there before, and the problem is logged.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil },
	}
}

// Expires returns when the certificate in use does.
func (c *Certificate) Expires() time.Time {
	return c.current.Load().Leaf.NotAfter
}

// get returns the certificate after a look at the files, if the last one was a while
// ago. Files are compared by content: links are swapped and clocks are coarse, and
// they are small.
func (c *Certificate) get() *tls.Certificate {
	if !c.looking.TryLock() {
		return c.current.Load()
	}
	defer c.looking.Unlock()
	now := c.config.Now()
	if now.Sub(c.looked) < lookEvery {
		return c.current.Load()
	}
	c.looked = now
	changed, err := c.load()
	log := c.config.Logger.With("cert", c.config.CertFile)
	switch {
	case err != nil && err.Error() != c.problem:
		log.Error("the TLS certificate on disk is not usable, the one before stays in use", "err", err)
		c.problem = err.Error()
	case err == nil && changed:
		log.Info("the TLS certificate was replaced", "expires", c.Expires())
		c.problem = ""
	case err == nil:
		c.problem = ""
	}
	return c.current.Load()
}

// load reads the files and, if they changed, takes the pair that is in them.
func (c *Certificate) load() (changed bool, err error) {
	cert, err := read(c.config.CertFile)
	if err != nil {
		return false, err
	}
	key, err := read(c.config.KeyFile)
	if err != nil {
		return false, err
	}
	if bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("%s and %s: %w", c.config.CertFile, c.config.KeyFile, err)
	}
	// It is there unless GODEBUG says to leave it out.
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return false, fmt.Errorf("%s: %w", c.config.CertFile, err)
		}
	}
	if now := c.config.Now(); now.After(pair.Leaf.NotAfter) {
		c.config.Logger.Warn("the TLS certificate has expired", "cert", c.config.CertFile, "expired", pair.Leaf.NotAfter)
	}
	c.cert, c.key = cert, key
	c.current.Store(&pair)
	return true, nil
}

func read(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) > maxFile:
		return nil, errors.New(name + ": too large for a certificate or key")
	}
	return content, nil
}
