package cmd_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/cmd"
)

// writeCertificate makes a certificate for 127.0.0.1 that vouches for itself.
func writeCertificate(t *testing.T, folder, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

const commandLine = "SIGNALBOX_TEST_COMMAND_LINE"

// TestCommandLine is the program in a process of its own, for what a process reads
// only once, as the authorities that it trusts.
func TestCommandLine(t *testing.T) {
	line := os.Getenv(commandLine)
	if line == "" {
		t.Skip("it is for runElsewhere")
	}
	os.Exit(cmd.Run(context.Background(), strings.Split(line, "\n"), strings.NewReader(""), os.Stdout, os.Stderr))
}

func runElsewhere(t *testing.T, environ []string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCommandLine$")
	c.Env = append(append(os.Environ(), commandLine+"="+strings.Join(args, "\n")), environ...)
	c.Stdout, c.Stderr = &stdout, &stderr
	_ = c.Run()
	return outcome{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func TestServeTLS(t *testing.T) {
	folder, data := t.TempDir(), t.TempDir()
	cert, _ := writeCertificate(t, folder, "first")
	config := filepath.Join(folder, "signalbox.yaml")
	if err := os.WriteFile(config, []byte("tls: {cert: tls.crt, key: tls.key}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := serve(t, "--listen", "127.0.0.1:0", "--data", data, "--config", config)
	greeting := server.stdout.String()
	if !strings.HasPrefix(server.base, "https://") || !strings.Contains(greeting, "WebSocket  wss://") || strings.Contains(greeting, "http://") {
		t.Error(greeting)
	}
	send := []string{"send", "--url", server.base, "--data", data, "--to", jane, "--title", "x", "--wait", "10s"}
	runElsewhere(t, []string{"SSL_CERT_FILE=" + cert}, send...).want(t, 0, "delivered")
	runElsewhere(t, nil, send...).want(t, 4, "certificate")

	// A new certificate needs no restart.
	writeCertificate(t, folder, "second")
	address := strings.TrimPrefix(server.base, "https://")
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		name := conn.ConnectionState().PeerCertificates[0].Subject.CommonName
		_ = conn.Close()
		if name == "second" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it serves %q", name)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestUnusableCertificates(t *testing.T) {
	folder, other := t.TempDir(), t.TempDir()
	cert, key := writeCertificate(t, folder, "one")
	_, otherKey := writeCertificate(t, other, "other")
	for name, c := range map[string]struct{ cert, key, want string }{
		"missing":    {cert, filepath.Join(folder, "none.key"), "none.key: no such file"},
		"mismatched": {cert, otherKey, "private key does not match public key"},
		"swapped":    {key, cert, "PEM inputs may have been switched"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SIGNALBOX_TLS_CERT", c.cert)
			t.Setenv("SIGNALBOX_TLS_KEY", c.key)
			run(t, "", "config", "check").want(t, 2, "signalbox: tls: ", c.want)
			data := filepath.Join(t.TempDir(), "data")
			run(t, "", "serve", "--listen", "127.0.0.1:0", "--data", data).want(t, 2, c.want)
			if _, err := os.Stat(data); err == nil {
				t.Error("it made a database before it looked at the certificate")
			}
		})
	}
	t.Setenv("SIGNALBOX_TLS_CERT", cert)
	t.Setenv("SIGNALBOX_TLS_KEY", key)
	run(t, "", "config", "check").want(t, 0, "The configuration is valid")
}

// What comes through a proxy is not the operator's own machine, loopback or not.
func TestGuestsBehindProxiesAreNoAdmins(t *testing.T) {
	for proxies, want := range map[string]int{"": http.StatusOK, "127.0.0.1": http.StatusForbidden} {
		t.Setenv("SIGNALBOX_AUTH_GUEST_ENABLED", "true")
		t.Setenv("SIGNALBOX_TRUSTED_PROXIES", proxies)
		server := serve(t, "--listen", "127.0.0.1:0", "--data", t.TempDir())
		response, err := http.Get(server.base + "/api/notifications/admin/status")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("behind %q: %d", proxies, response.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
