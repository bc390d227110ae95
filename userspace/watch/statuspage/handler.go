package statuspage

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"binrepd/dialog/escape"
	"binrepd/userspace/watch/control"
)

// Config says what the page shows and where it is served. Its functions may be called at any time, from several
// goroutines.
type Config struct {
	// Status returns the current status. It is called at most once a second.
	Status func() control.Status
	// Trend has the last minutes. The caller feeds it.
	Trend *Trend
	// Dialogs calls each for the dialogs of a Call-ID in any state until it returns false, and returns how many there
	// are. Only one goroutine calls it at a time.
	Dialogs func(callID string, each func(*control.Dialog) (more bool)) (total int)
	// Bound is the address at which the page is served. Names are the names of the host. They decide which Host values
	// a request may have: see hosts.
	Bound netip.AddrPort
	Names []string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Handler serves the page at / and its data under /api/.
func Handler(c Config) http.Handler {
	if c.Now == nil {
		c.Now = time.Now
	}
	doc := newDocument()
	shared := &snapshot{take: c.Status, now: c.Now}
	calls := &calls{find: c.Dialogs}
	mux := http.NewServeMux()
	mux.Handle("/{$}", doc)
	mux.Handle("/api/status", data(shared))
	mux.Handle("/api/trend", data(c.Trend))
	mux.Handle("/api/dialogs", data(calls))
	return guard(newHosts(c.Bound, c.Names), doc.policy, mux)
}

// guard sets the headers of every answer and refuses unsuitable requests.
func guard(names hosts, policy string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		switch {
		case !names.allow(r.Host):
			refuse(w, http.StatusMisdirectedRequest, "open this page by the address of the appliance, or by its own host name")
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, "this page is read-only: use GET")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// data serves JSON that must not be cached. It refuses requests from pages of other sites. Such a page couldn't read
// the answer, but could tell from its timing whether a call exists. Browsers report the origin of a request in
// Sec-Fetch-Site, and no script can change that header.
func data(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		switch r.Header.Get("Sec-Fetch-Site") {
		case "cross-site", "same-site":
			refuse(w, http.StatusForbidden, "not for pages of other sites")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// refuse sends an error.
func refuse(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// An error means that the client has disconnected.
	_ = json.NewEncoder(w).Encode(struct {
		Error string `json:"error"`
	}{text})
}

// calls answers searches, one at a time, so that they take little memory and rarely meet the packet path at the lock of a
// shard.
type calls struct {
	mu   sync.Mutex
	find func(callID string, each func(*control.Dialog) (more bool)) (total int)
}

const (
	// mostDialogs is the maximum number of dialogs in an answer. A forked call has a few; the table keeps up to 128 of
	// one Call-ID.
	mostDialogs = 32
	// mostBytes is the maximum size of an answer. A dialog is as large as a datagram, or six times as large in JSON if
	// every byte needs an escape. One dialog always fits.
	mostBytes = 512 << 10
	// longestCallID is more than any datagram can hold.
	longestCallID = 64 << 10
)

// Found is the answer to a search.
type Found struct {
	// Total is how many dialogs the call has. Dialogs are all of them, or as many as fit into an answer.
	Total   int               `json:"total"`
	Dialogs []json.RawMessage `json:"dialogs"`
}

// search renders dialogs one by one, until the answer is full.
func (c *calls) search(callID string) (found Found, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found.Dialogs = []json.RawMessage{}
	size := 0
	found.Total = c.find(callID, func(d *control.Dialog) bool {
		var one []byte
		if one, err = json.Marshal(d); err != nil {
			return false
		}
		if size += len(one); size > mostBytes {
			return false
		}
		found.Dialogs = append(found.Dialogs, one)
		return len(found.Dialogs) < mostDialogs
	})
	return found, err
}

func (c *calls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	callID := r.URL.Query().Get("callid")
	if callID == "" || len(callID) > longestCallID {
		refuse(w, http.StatusBadRequest, "callid: give one Call-ID")
		return
	}
	found, err := c.search(escape.Parse(callID))
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(w, found)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // an error means that the client has disconnected
}
