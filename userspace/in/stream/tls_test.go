package stream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/in/stream/streamtest"
)

// testTLS returns a certificate, and its own CA as that of the peers.
func testTLS(t testing.TB) *TLS {
	t.Helper()
	ca := streamtest.NewCA(t, "cluster CA")
	return NewTLS(ca.Issue(t, "node"), ca.Pool())
}

// dialTLS opens a TLS connection with the certificate of t, as a peer does that is no Stream.
func dialTLS(t testing.TB, u URL, with *TLS) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", u.Addr.String(), &tls.Config{
		Certificates: []tls.Certificate{with.loaded.Load().certificate}, InsecureSkipVerify: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// pki is two CAs with a node of each, and a TLS without verification.
type pki struct {
	good, foreign, open *TLS
	ca                  *streamtest.CA
}

func newPKI(t testing.TB) pki {
	ca, other := streamtest.NewCA(t, "cluster CA"), streamtest.NewCA(t, "other CA")
	node := ca.Issue(t, "node")
	return pki{
		good: NewTLS(node, ca.Pool()), foreign: NewTLS(other.Issue(t, "stranger"), nil), open: NewTLS(node, nil), ca: ca,
	}
}

func TestTLSBothWays(t *testing.T) {
	p := newPKI(t)
	ws, wc := &watcher{}, &watcher{}
	server, client := open(t, Config{Handler: ws, TLS: p.good}), open(t, Config{Handler: wc, TLS: p.good})
	u := listen(t, server, "bins")
	fromClient, fromServer := collect(server, 32), collect(client, 32)
	peer, err := client.Dial(Dial{URL: u, Listener: 3})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "both ends", func() bool { return len(ws.conns()) == 1 && peer.Conn() != nil })
	const n = 300
	for i := range uint64(n) {
		if err := errors.Join(peer.Send(packet(i, 30+int(i)*20)), ws.conns()[0].Send(packet(i, 30+int(i)*40))); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "all packets", func() bool { return fromClient.count() == n && fromServer.count() == n })
	fromClient.inOrder(t, n)
	fromServer.inOrder(t, n)
	st := client.Status()
	leaf := p.good.loaded.Load().certificate.Leaf
	if c := st.Conns[0]; !c.TLS || c.Version != "TLS 1.3" || c.Certificate != Fingerprint(leaf) || !c.Dialed {
		t.Errorf("%+v", c)
	}
	if got := ws.conns()[0].PeerCertificate(); got == nil || !got.Equal(leaf) {
		t.Errorf("certificate %v", got)
	}
	if ps := st.Peers[0]; !ps.Connected || ps.URL != u || ps.Failures != 0 {
		t.Errorf("%+v", ps)
	}
	client.Stop()
	<-fromServer.done
	reason(t, server, PeerClosed, 1)
	server.Stop()
	<-fromClient.done
}

// Refusals as the accepting side, by clients that are no Stream.
func TestTLSRefusesClients(t *testing.T) {
	p := newPKI(t)
	good := p.good.loaded.Load().certificate
	stranger := p.foreign.loaded.Load().certificate
	pinned := func(info PeerInfo, c *Certificate) error {
		if info.Dialed || !info.Remote.Addr().IsLoopback() {
			return fmt.Errorf("asked about %+v", info)
		}
		if c == nil {
			return nil
		}
		return errors.New("not the certificate of this address")
	}
	for name, c := range map[string]struct {
		server *TLS
		verify func(PeerInfo, *Certificate) error
		client *tls.Config
		reason Reason // None: accepted
		text   string
	}{
		"good":                    {p.good, nil, &tls.Config{Certificates: []tls.Certificate{good}}, None, ""},
		"good, TLS 1.2":           {p.good, nil, &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS12}, None, ""},
		"no certificate":          {p.good, nil, &tls.Config{}, PeerCertificate, "no certificate"},
		"no certificate, TLS 1.2": {p.good, nil, &tls.Config{MaxVersion: tls.VersionTLS12}, PeerCertificate, "no certificate"},
		"foreign CA":              {p.good, nil, &tls.Config{Certificates: []tls.Certificate{stranger}}, PeerCertificate, "unknown authority"},
		"pinned elsewhere":        {p.good, pinned, &tls.Config{Certificates: []tls.Certificate{good}}, PeerCertificate, "of this address"},
		"pinned, not verified":    {p.open, pinned, &tls.Config{Certificates: []tls.Certificate{stranger}}, PeerCertificate, "of this address"},
		"not verified":            {p.open, nil, &tls.Config{Certificates: []tls.Certificate{stranger}}, None, ""},
		"not verified, none":      {p.open, pinned, &tls.Config{}, None, ""},
		"TLS 1.1": {p.good, nil, &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10,
			MaxVersion: tls.VersionTLS11}, HandshakeFailed, "unsupported versions"},
	} {
		t.Run(name, func(t *testing.T) {
			n := &notices{}
			s := open(t, Config{TLS: c.server, VerifyPeer: c.verify, Notice: n.tell})
			got := collect(s, 4)
			c.client.InsecureSkipVerify = true
			conn := tls.Client(connect(t, listen(t, s, "bins")), c.client)
			err := conn.Handshake()
			if err == nil {
				write(conn, packet(0, 100))
			}
			if c.reason == None {
				await(t, "the packet", func() bool { return got.count() == 1 })
				conn.Close()
				reason(t, s, PeerClosed, 1)
			} else {
				reason(t, s, c.reason, 1)
				if list := n.all(); len(list) != 1 || !strings.Contains(list[0].String(), c.text) {
					t.Errorf("notices %v, want one with %q", list, c.text)
				}
			}
			s.Stop()
			<-got.done
		})
	}
}

// Refusals as the dialling side, and by the accepting side: each end tells its own reason.
func TestTLSRefusedDial(t *testing.T) {
	p := newPKI(t)
	for name, c := range map[string]struct {
		server, client           *TLS
		atServer, atClient       Reason
		connectedFirst, pinWrong bool
	}{
		// Under TLS 1.3 the handshake of the dialling side succeeds, and the alert comes at its first read.
		"client's certificate, TLS 1.3": {server: p.good, client: p.foreign, atServer: PeerCertificate, atClient: OwnCertificate, connectedFirst: true},
		"server's certificate":          {server: NewTLS(p.foreign.loaded.Load().certificate, nil), client: p.good, atServer: OwnCertificate, atClient: PeerCertificate},
		"pin":                           {server: p.good, client: p.good, atServer: OwnCertificate, atClient: PeerCertificate, pinWrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := &watcher{}
			server := open(t, Config{TLS: c.server})
			cfg := Config{Handler: w, TLS: c.client, Clock: newFakeClock()} // one attempt
			if c.pinWrong {
				cfg.VerifyPeer = func(i PeerInfo, _ *Certificate) error {
					if !i.Dialed {
						t.Error("not dialled")
					}
					return errors.New("pinned to another")
				}
			}
			client := open(t, cfg)
			peer, err := client.Dial(Dial{URL: listen(t, server, "bins")})
			if err != nil {
				t.Fatal(err)
			}
			reason(t, server, c.atServer, 1)
			reason(t, client, c.atClient, 1)
			await(t, "the pause", func() bool { return !peer.Status().Next.IsZero() })
			if st := peer.Status(); st.Connected || st.Reason != c.atClient || st.Err == nil || st.Failures != 1 {
				t.Errorf("%+v", st)
			}
			if connected := len(w.conns()) == 1; connected != c.connectedFirst || len(w.endings()) != len(w.conns()) {
				t.Errorf("connected %v, ended %v", w.conns(), w.endings())
			}
		})
	}
}

func TestTLSBadHandshakes(t *testing.T) {
	p := newPKI(t)
	slow := open(t, Config{TLS: p.good, Limits: Limits{HandshakeTimeout: 50 * time.Millisecond}})
	closed(t, connect(t, listen(t, slow, "bins"))) // silent
	reason(t, slow, HandshakeSlow, 1)

	n := &notices{}
	s := open(t, Config{TLS: p.good, Notice: n.tell})
	u := listen(t, s, "bins")
	write(connect(t, u), packet(1, 100))
	reason(t, s, NotTLS, 1)
	write(connect(t, u), []byte("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"))
	reason(t, s, HandshakeFailed, 1)
	connect(t, u).Close()
	reason(t, s, HandshakeFailed, 2)
	if list := n.all(); len(list) != 2 {
		t.Errorf("notices %v", list)
	}
	await(t, "the end of all", func() bool { return len(s.Status().Conns) == 0 })
}

// A packet in records of one byte, and many packets in one record.
func TestTLSRecords(t *testing.T) {
	p := newPKI(t)
	s := open(t, Config{TLS: p.good})
	got := collect(s, 3)
	c := dialTLS(t, listen(t, s, "bins"), p.good)
	for _, b := range packet(0, 100) {
		write(c, []byte{b})
	}
	var many []byte
	for i := range uint64(400) {
		many = append(many, packet(i+1, 40)...)
	}
	write(c, many)
	await(t, "all packets", func() bool { return got.count() == 401 })
	got.inOrder(t, 401)
	// An end without close_notify is an end like any other.
	c.NetConn().Close()
	reason(t, s, PeerClosed, 1)
	s.Stop()
	<-got.done
}

func TestStopDuringHandshake(t *testing.T) {
	p := newPKI(t)
	s := open(t, Config{TLS: p.good, Limits: Limits{HandshakeTimeout: time.Minute}})
	connect(t, listen(t, s, "bins"))
	await(t, "the connection", func() bool { return len(s.Status().Conns) == 1 })
	s.Close()
	reason(t, s, Stopped, 1)
}

func TestTLSFiles(t *testing.T) {
	ca := streamtest.NewCA(t, "cluster CA")
	dir := t.TempDir()
	first := ca.Issue(t, "first")
	cert, key, roots := ca.Write(t, dir, first)
	files := TLSFiles{Cert: cert, Key: key, CA: roots}
	loaded, err := LoadTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{TLS: loaded})
	u := listen(t, s, "bins")
	shown := func() *Certificate {
		c := dialTLS(t, u, loaded)
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0]
	}
	if got := shown(); !got.Equal(first.Leaf) {
		t.Errorf("certificate %s", got.Subject)
	}
	// A broken file changes nothing.
	if err := os.WriteFile(cert, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := loaded.Reload(); err == nil || !strings.Contains(err.Error(), cert) {
		t.Errorf("reload of a broken certificate: %v", err)
	}
	if got := shown(); !got.Equal(first.Leaf) {
		t.Errorf("certificate %s", got.Subject)
	}
	second := ca.Issue(t, "second")
	ca.Write(t, dir, second)
	if err := loaded.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := shown(); !got.Equal(second.Leaf) {
		t.Errorf("certificate %s", got.Subject)
	}
	for name, f := range map[string]TLSFiles{
		"no CA":                {Cert: cert, Key: key},
		"a key as CA":          {Cert: cert, Key: key, CA: key},
		"a CA as key":          {Cert: cert, Key: roots, CA: roots},
		"no certificate":       {Key: key, CA: roots},
		"no key, not verified": {Cert: cert, NoVerify: true},
	} {
		if _, err := LoadTLS(f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := LoadTLS(TLSFiles{Cert: cert, Key: key, NoVerify: true}); err != nil {
		t.Error(err)
	}
}

func TestTLSIsNeeded(t *testing.T) {
	s := open(t, Config{})
	u := URL{TLS: true, Addr: netip.MustParseAddrPort("127.0.0.1:1")}
	if _, err := s.Listen(t.Context(), u, 0); !errors.Is(err, errNoTLS) {
		t.Error(err)
	}
	if _, err := s.Dial(Dial{URL: u}); !errors.Is(err, errNoTLS) {
		t.Error(err)
	}
}
