package stream

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Certificate is a peer's certificate.
type Certificate = x509.Certificate

// TLSFiles name what TLS needs. Cert and Key are PEM files: the certificate with its chain, and its key. CA holds
// the certificates that peers' certificates must lead to.
type TLSFiles struct {
	Cert, Key, CA string
	// NoVerify accepts any peer, with any certificate or none. CA may then be empty.
	NoVerify bool
}

// TLS holds the certificate of this side and the CAs of its peers. Both can be replaced while connections are open;
// each handshake uses what is loaded at that moment.
type TLS struct {
	files  TLSFiles
	loaded atomic.Pointer[identity]
}

type identity struct {
	certificate tls.Certificate
	roots       *x509.CertPool // nil: peers are not verified
}

// LoadTLS reads the files.
func LoadTLS(files TLSFiles) (*TLS, error) {
	t := &TLS{files: files}
	if err := t.Reload(); err != nil {
		return nil, err
	}
	return t, nil
}

// NewTLS takes a certificate and CAs from memory. roots nil accepts any peer.
func NewTLS(certificate tls.Certificate, roots *x509.CertPool) *TLS {
	t := &TLS{}
	t.loaded.Store(&identity{certificate, roots})
	return t
}

var errNoCA = errors.New("no certificate in it")

// Reload reads the files again. After an error everything stays as it was.
func (t *TLS) Reload() error {
	cert, err := tls.LoadX509KeyPair(t.files.Cert, t.files.Key)
	if err != nil {
		return fmt.Errorf("TLS certificate %s with key %s: %w", t.files.Cert, t.files.Key, err)
	}
	id := &identity{certificate: cert}
	if !t.files.NoVerify {
		pem, err := os.ReadFile(t.files.CA)
		if err != nil {
			return fmt.Errorf("TLS CA: %w", err)
		}
		id.roots = x509.NewCertPool()
		if !id.roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("TLS CA %s: %w", t.files.CA, errNoCA)
		}
	}
	t.loaded.Store(id)
	return nil
}

// Fingerprint returns the SHA-256 of a certificate in lower-case hex, for pins.
func Fingerprint(c *Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// tlsConn is a TLS connection on a sock.
type tlsConn struct{ conn *tls.Conn }

func (t *TLS) server(c *Conn) *tls.Conn { return tls.Server(c.sock, t.config(c)) }
func (t *TLS) client(c *Conn) *tls.Conn { return tls.Client(c.sock, t.config(c)) }

func (c *Conn) useTLS(t *tls.Conn) {
	c.tls = &tlsConn{t}
	c.in = t
}

// config is made for each connection, so that verifying knows whose certificate it sees. No names are compared and
// none is sent, because OpenSIPS compares and sends none: certificates of a cluster share a CA (spec bin-tcp-answers,
// 1).
func (t *TLS) config(c *Conn) *tls.Config {
	id := t.loaded.Load()
	hook := c.stream.cfg.VerifyPeer
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{id.certificate},
		// The certificate is given even if no CA of the peer's list has signed it: a refusal tells more than silence.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &id.certificate, nil },
		// verify below does the work of both settings, on both sides.
		ClientAuth:         tls.RequestClientCert,
		InsecureSkipVerify: true,
		VerifyConnection: func(st tls.ConnectionState) error {
			if err := id.verify(st.PeerCertificates); err != nil {
				return &peerCertificateError{err}
			}
			if hook == nil {
				return nil
			}
			var leaf *x509.Certificate
			if len(st.PeerCertificates) > 0 {
				leaf = st.PeerCertificates[0]
			}
			if err := hook(PeerInfo{Remote: c.remote, Dialed: c.dialed}, leaf); err != nil {
				return &peerCertificateError{err}
			}
			return nil
		},
		SessionTicketsDisabled: true, // so that every connection is verified with what is loaded now
		// A packet that fits into a record is one record, and so one write.
		DynamicRecordSizingDisabled: true,
	}
}

var errNoCertificate = errors.New("the peer gave no certificate")

// verify checks the chain. A node uses one certificate in both roles, so its purpose is not looked at.
func (id *identity) verify(chain []*x509.Certificate) error {
	if id.roots == nil {
		return nil
	}
	if len(chain) == 0 {
		return errNoCertificate
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: id.roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}

// peerCertificateError marks what verify and the hook refuse.
type peerCertificateError struct{ err error }

func (e *peerCertificateError) Error() string { return e.err.Error() }
func (e *peerCertificateError) Unwrap() error { return e.err }

// errLate explains a reset where an alert is expected: the system throws an alert away when a reset follows at once.
var errLate = errors.New("before the first packet: the peer may refuse the certificate of this side")

// handshake runs the handshake and finds the reason of a failure.
func (t *tlsConn) handshake(ctx context.Context, limit time.Duration) (Reason, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := t.conn.HandshakeContext(ctx)
	if err == nil {
		return None, nil
	}
	if refused, ok := errors.AsType[*peerCertificateError](err); ok {
		return PeerCertificate, refused.err
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return NotTLS, nil
	}
	if ctx.Err() != nil {
		return HandshakeSlow, nil
	}
	if reason := alertReason(err); reason != None {
		return reason, err
	}
	return HandshakeFailed, err
}

// alertReason recognises an alert of the peer. Under TLS 1.3 a refused client certificate shows only at the first read.
func alertReason(err error) Reason {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return None
	}
	// The alerts of RFC 8446, section 6.2, that are about a certificate. crypto/tls exports their texts only.
	text := op.Err.Error()
	for _, word := range []string{"certificate", "access denied"} {
		if strings.Contains(text, word) {
			return OwnCertificate
		}
	}
	return HandshakeFailed
}

// certificate returns the peer's certificate, after the handshake; nil if it gave none.
func (t *tlsConn) certificate() *Certificate {
	if chain := t.conn.ConnectionState().PeerCertificates; len(chain) > 0 {
		return chain[0]
	}
	return nil
}

func (t *tlsConn) version() string { return tls.VersionName(t.conn.ConnectionState().Version) }
