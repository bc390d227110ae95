package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/member"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/conflicts"
	"binrepd/userspace/watch/serving"
)

// headerTimeout ends a connection that doesn't send a request.
const headerTimeout = 30 * time.Second

// Backend provides what the server shows. Its functions may be called at any time, from several goroutines.
type Backend struct {
	Status func() Status
	Table  *dialog.Table
	// Steering finds the shard of a Call-ID.
	Steering packets.Steering
	// Origin returns the source that belongs to a dialog's origin number.
	Origin func(uint16) netip.AddrPort
	// Sender is Origin for sources that may be nodes of a cluster; nil: there are none.
	Sender func(uint16) packets.Sender
	// Sync sends the table to a standby until it is done or ctx ends, and calls progress regularly. If the request is
	// wrong, the error is a *RequestError.
	Sync func(ctx context.Context, req SyncRequest, progress func(SyncProgress)) (SyncSummary, error)
	// End ends the live dialog with this key, as a deletion would, here and at the backups, if still returns true for
	// it. It reports whether it did.
	End func(name dialog.Name, still func(*dialog.View) bool) bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Allowed returns the list of allowed sources, and Allow changes it. If the request is wrong, the error is a
	// *RequestError.
	Allowed func() AllowList
	Allow   func(context.Context, AllowRequest) (AllowList, error)
	// Backups returns the backups, and ChangeBackups changes one. If the request is wrong, the error is a *RequestError.
	Backups       func() BackupList
	ChangeBackups func(context.Context, BackupRequest) (BackupList, error)
	// ChangeSources forgets or expects sources. If the request is wrong, the error is a *RequestError.
	ChangeSources func(context.Context, SourceRequest) (SourceList, error)
	// Save writes the table to a file. Load applies a file. Folder is where members of the socket's group may let it do
	// that. Root and the user of the appliance may name any file. Empty: members of the group may not.
	Folder string
	Save   func(context.Context, FileRequest) (SaveSummary, error)
	Load   func(context.Context, FileRequest) (LoadSummary, error)

	// Reload reads the settings again. If they are wrong, the error is a *RequestError.
	Reload func(context.Context) (ReloadSummary, error)

	// SyncCluster asks a node of a cluster for its dialogs, waits for the result, and calls progress regularly. If the request
	// is wrong, the error is a *RequestError.
	SyncCluster func(ctx context.Context, req ClusterSyncRequest, progress func(member.SyncStatus)) (member.SyncResult, error)
	// Profiles returns what the nodes of clusters say of their dialog profiles; nil: there are none.
	Profiles func() []ClusterProfiles
	// Doubts returns the nodes of clusters that may have dropped calls; nil: there are none.
	Doubts func() []member.Doubt
	// Conflicts are those about sharing tags; nil: there are none.
	Conflicts *conflicts.Book

	// More are requests that other packages answer.
	More []Route

	// held is told after each hold of a shard's lock how many entries were visited and how many bytes copied: for tests.
	held func(entries, bytes int)
}

// Server serves the API on a Unix socket.
type Server struct {
	http     http.Server
	listener *net.UnixListener
	path     string
	own      os.FileInfo // of the socket file
}

// Listen opens the socket at path. It replaces an existing socket that no process listens on. It makes the folder if it
// is missing.
func Listen(path string, b Backend, log *slog.Logger) (*Server, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("control socket: %w: choose a writable place with --control", err)
	}
	l, own, err := takeSocket(path)
	if err != nil {
		return nil, err
	}
	s := &Server{listener: l, path: path, own: own}
	s.http = http.Server{
		Handler:           b.routes(path),
		ConnContext:       withPeer,
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// routes returns the handler of the API. path is the path of the socket; its group may change things.
func (b *Backend) routes(path string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", b.status)
	slow := func(pattern string, h http.HandlerFunc) { mux.HandleFunc(pattern, answerSoon(h)) }
	slow("GET /v1/dialogs", b.dialogs)
	slow("GET /v1/dialogs/count", b.count)
	mux.HandleFunc("GET /v1/dialogs/conflicts", b.conflicts)
	slow("GET /v1/profiles", b.profiles)
	slow("GET /v1/ghosts", b.ghosts)
	slow("POST /v1/ghosts", changing(path, b.ghosts))
	mux.HandleFunc("GET /v1/allow", b.allowed)
	mux.HandleFunc("GET /v1/backups", b.backups)
	slow("POST /v1/backups", changing(path, call(b.ChangeBackups)))
	mux.HandleFunc("GET /v1/sources", b.sources)
	slow("POST /v1/sources", changing(path, call(b.ChangeSources)))
	slow("POST /v1/allow", changing(path, call(b.Allow)))
	slow("POST /v1/sync", changing(path, telling(b.Sync)))
	slow("POST /v1/save", changing(path, call(inFolder(b.Folder, b.Save))))
	slow("POST /v1/load", changing(path, call(inFolder(b.Folder, b.Load))))
	slow("POST /v1/reload", changing(path, call(func(ctx context.Context, _ struct{}) (ReloadSummary, error) { return b.Reload(ctx) })))
	slow("POST /v1/cluster/sync", changing(path, telling(b.SyncCluster)))
	for _, r := range b.More {
		slow(r.Pattern, changing(path, r.handler()))
	}
	return mux
}

// answerSoon sends "100 Continue" before a request that may take long, so that a client can tell an appliance that works
// from one that is stuck.
func answerSoon(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusContinue)
		h(w, r)
	}
}

// Serve serves requests until ctx ends. Then it gives running requests a second to end, and removes the socket.
func (s *Server) Serve(ctx context.Context) error {
	err := serving.Until(ctx, &s.http, s.listener)
	if err = errors.Join(err, removeSocket(s.path, s.own)); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// Close closes and removes the socket of a server that was never served.
func (s *Server) Close() error { return errors.Join(s.listener.Close(), removeSocket(s.path, s.own)) }

func (b *Backend) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, b.Status())
}

// Count is the answer to /v1/dialogs/count.
type Count struct {
	Dialogs uint64 `json:"dialogs"`
}

func (b *Backend) count(w http.ResponseWriter, r *http.Request) {
	f, err := ParseFilter(r.URL.Query())
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	var n Count
	if err := b.walk(r.Context(), f, func(*dialog.View) error { n.Dialogs++; return nil }); err == nil {
		writeJSON(w, n)
	}
}

func (b *Backend) dialogs(w http.ResponseWriter, r *http.Request) {
	f, err := ParseFilter(r.URL.Query())
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := newLines(w)
	// An error means that the client has disconnected.
	_ = b.walk(r.Context(), f, func(v *dialog.View) error {
		var line any
		if sender := b.sender(v.Origin()); v.Layout() == layout.UDP {
			d := newDialog(v, sender)
			line = &d
		} else {
			line = lineOf(v, sender)
		}
		return out.writeAll(1, func(int) any { return line })
	})
}

// sender returns the source that belongs to a dialog's origin number.
func (b *Backend) sender(number uint16) packets.Sender {
	if b.Sender != nil {
		return b.Sender(number)
	}
	if a := b.Origin(number); a.IsValid() {
		return packets.Sender{Endpoint: packets.EndpointOf(a)}
	}
	return packets.Sender{}
}

// errEnough ends a walk when the limit of its filter is reached.
var errEnough = errors.New("enough")

// walk calls each with a copy of every dialog that matches f, without a lock.
func (b *Backend) walk(ctx context.Context, f Filter, each func(*dialog.View) error) error {
	left := f.Limit
	r := b.reader(f.chooser(b.sender))
	visit := func(v *dialog.View) error {
		if !f.matchesBody(v.Layout(), v.Body()) {
			return nil
		}
		err := each(v)
		if left--; err == nil && left == 0 { // without a limit it is below 0
			err = errEnough
		}
		return err
	}
	var err error
	if f.CallID != "" {
		err = r.call([]byte(f.CallID), visit)
	} else {
		err = r.scan(ctx, visit, func() error { return nil })
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// An error means that the client has disconnected.
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(failure{Error: err.Error()})
}

type failure struct {
	Error string `json:"error"`
}
