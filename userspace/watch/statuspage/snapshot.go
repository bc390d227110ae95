package statuspage

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"binrepd/userspace/watch/control"
)

// freshFor is how long viewers share a status.
const freshFor = time.Second

// snapshot is the status that viewers share, as it is sent. It is taken when somebody asks and the last one is old.
type snapshot struct {
	take func() control.Status
	now  func() time.Time

	mu     sync.Mutex // guards what follows, and lets one take it for all
	at     time.Time
	plain  []byte
	packed []byte // compressed; nil until somebody wants it so
}

// encoded returns the status as JSON, compressed by gzip if packed. The bytes are shared and must not be changed.
func (s *snapshot) encoded(packed bool) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A clock that was set back must not stop the page until it has caught up.
	if now := s.now(); s.plain == nil || now.Sub(s.at) >= freshFor || now.Before(s.at) {
		plain, err := json.Marshal(s.take())
		if err != nil {
			return nil, err
		}
		s.at, s.plain, s.packed = now, plain, nil
	}
	if !packed {
		return s.plain, nil
	}
	if s.packed == nil {
		s.packed = compress(s.plain)
	}
	return s.packed, nil
}

// compress is by gzip, quickly: a status of a thousand sources shrinks from 200 to 30 KB.
func compress(plain []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed) // the level is a valid one
	_, _ = w.Write(plain)                             // a Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

// wantsGzip tells whether the client takes gzip. One that refuses it by a quality of zero gets it all the same only if it names it, which
// none does.
func wantsGzip(r *http.Request) bool {
	for field := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if strings.TrimSpace(field) == "gzip" {
			return true
		}
	}
	return false
}

func (s *snapshot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	packed := wantsGzip(r)
	body, err := s.encoded(packed)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	send(w, "application/json", body, packed)
}

// send writes a body that may have been compressed.
func send(w http.ResponseWriter, kind string, body []byte, packed bool) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Vary", "Accept-Encoding")
	if packed {
		h.Set("Content-Encoding", "gzip")
	}
	_, _ = w.Write(body) // an error means that the client is gone
}
