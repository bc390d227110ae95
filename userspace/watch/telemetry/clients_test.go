package telemetry

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestDeafClientsGiveWay: clients that ask and don't read have taken all places. The next client gets one of these at
// once. A client that only waits for a slow answer keeps its place.
func TestDeafClientsGiveWay(t *testing.T) {
	b := standard()
	b.connections, b.write, b.patience = 4, patience, time.Millisecond // the write deadline isn't what helps
	large := strings.Repeat("x", 8<<20)                                // more than the buffers of both sides hold
	asked, release := make(chan struct{}), make(chan struct{})
	s := started(t, b, func(s *Server) {
		s.Handle("/large", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			page(large).ServeHTTP(w, r)
		}))
		s.Handle("/slow", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-release
			page("slow").ServeHTTP(w, r)
		}))
		s.Handle("/small", page("here"))
	})
	ask := func(path string) net.Conn {
		c := connect(t, s)
		if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-asked
		return c
	}
	read := func(c net.Conn) (int64, error) {
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return 0, err
		}
		defer r.Body.Close()
		return io.Copy(io.Discard, r.Body)
	}
	slow := ask("/slow")
	var deaf []net.Conn
	for range b.connections - 1 {
		deaf = append(deaf, ask("/large"))
	}
	if status, body := get(t, s, "/small"); status != http.StatusOK || body != "here" {
		t.Errorf("beside deaf clients: %d %q", status, body)
	}
	close(release)
	if n, err := read(slow); err != nil || n != int64(len("slow")) {
		t.Errorf("the client with the slow answer got %d bytes, %v", n, err)
	}
	cut := 0
	for _, c := range deaf {
		if n, err := read(c); err != nil || n != int64(len(large)) {
			cut++
		}
	}
	if cut != 1 {
		t.Errorf("%d deaf clients were cut off for one", cut)
	}
}

// TestDue: a client that waits for a place checks again when the first of the stuck writes is due, not after a whole
// patience.
func TestDue(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	p := newClients(nil, 3, time.Second)
	check := func(what string, want time.Duration) {
		t.Helper()
		if got := p.due(now); got != want {
			t.Errorf("%s: due in %s, want %s", what, got, want)
		}
	}
	p.open[&client{}] = &place{}
	check("nothing is being sent", time.Second)
	p.open[&client{}] = &place{sending: now.Add(-300 * time.Millisecond)}
	check("one", 700*time.Millisecond)
	p.open[&client{}] = &place{sending: now.Add(-900 * time.Millisecond), ending: true}
	check("one that ends already", 700*time.Millisecond)
	p.open[&client{}] = &place{sending: now.Add(-800 * time.Millisecond)}
	check("the first of two", 200*time.Millisecond)
}

// TestHalfClose: the server can close its sending half and go on reading. net/http does this when it has refused a
// request that is still coming.
func TestHalfClose(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := newClients(l, 1, patience)
	defer p.Close()
	there, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	here, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	half, ok := here.(interface{ CloseWrite() error }) // the interface that net/http looks for
	if !ok {
		t.Fatal("net/http can't close one half")
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for _, c := range []net.Conn{here, there} {
		if err := c.SetDeadline(deadline); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := there.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the client reads %d bytes, %v, want %v", n, err, io.EOF)
	}
	if _, err := there.Write([]byte("rest")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(here, b); err != nil || string(b) != "rest" {
		t.Errorf("the server reads %q, %v", b, err)
	}
}
