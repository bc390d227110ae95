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

// TestDeafClientsGiveWay: when those who ask and don't read have taken all places, the next client gets one of them at once, and whoever is
// only slow to be answered keeps its own.
func TestDeafClientsGiveWay(t *testing.T) {
	b := standard()
	b.connections, b.write, b.patience = 4, patience, time.Millisecond // the deadline for writing isn't what helps
	large := strings.Repeat("x", 8<<20)                                // more than the buffers of both sides take
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
		t.Errorf("who was slow to be answered got %d bytes, %v", n, err)
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
