package telemetry

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// certificate writes a self-signed certificate for the loopback and its key, and returns the files and a pool with it.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "binrepd"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, text := range map[string][]byte{cert: certPEM, key: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return cert, key, pool
}

// TestSecure serves over TLS and asks for a password, as a file in the form of exporter-toolkit says.
func TestSecure(t *testing.T) {
	cert, key, pool := certificate(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "web.yml")
	text := fmt.Sprintf("tls_server_config:\n  cert_file: %s\n  key_file: %s\nbasic_auth_users:\n  alice: %s\n", cert, key, hash)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Listen(t.Context(), anyPort, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.Handle("GET /metrics", page("numbers"))
	if err := s.Secure(file); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()

	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for _, test := range []struct {
		user, password string
		status         int
		body           string
	}{
		{"alice", "secret", http.StatusOK, "numbers"},
		{"alice", "wrong", http.StatusUnauthorized, ""},
		{"", "", http.StatusUnauthorized, ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.Address().String()+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if test.user != "" {
			r.SetBasicAuth(test.user, test.password)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != test.status || test.body != "" && string(body) != test.body {
			t.Errorf("%q %q: status %d, %q, %v", test.user, test.password, answer.StatusCode, body, err)
		}
	}
	if status, body := get(t, s, "/metrics"); status == http.StatusOK {
		t.Errorf("without TLS: status %d, %q", status, body)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestSecureRefusesWrongFiles: nothing is served without the protection that was asked for.
func TestSecureRefusesWrongFiles(t *testing.T) {
	s, err := Listen(t.Context(), anyPort, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wrong := filepath.Join(t.TempDir(), "wrong.yml")
	if err := os.WriteFile(wrong, []byte("basic_auth_user:\n  a: b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{wrong, "/nonexistent/web.yml"} {
		if err := s.Secure(file); err == nil {
			t.Errorf("%s: no error", file)
		}
	}
}
