package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// touched counts the calls of a backend's functions.
type touched struct{ sync, end, allow, save, load int }

// fuzzBackend has a few dialogs and only counts calls.
func fuzzBackend(tb testing.TB, did *touched) *Backend {
	tb.Helper()
	table, err := dialog.NewTable(dialog.Config{Shards: 2})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { table.Close() })
	proxy := bin1test.NewProxy(1, bin1test.Realistic(testNow, 20))
	for range 40 {
		packet := proxy.Next(nil)
		var ev dialog.Event
		if v := bin1.Decode(packet, &ev); v != bin1.Dialog {
			tb.Fatal(v)
		}
		callID, _ := ev.Key.Part()
		ev.Hash = steering.CallID(callID)
		s := table.Lock(table.ShardOf(ev.Hash))
		s.Apply([]*dialog.Event{&ev}, testNow)
		s.Unlock()
	}
	return &Backend{
		Table: table, Steering: steering,
		Status: func() Status { return Status{} },
		Origin: func(uint16) netip.AddrPort { return netip.MustParseAddrPort("192.0.2.9:5555") },
		Sync: func(_ context.Context, req SyncRequest, progress func(SyncProgress)) (SyncSummary, error) {
			did.sync++
			switch {
			case req.To == "":
				return SyncSummary{}, &RequestError{errors.New("to: say where")}
			case req.Rate < 0:
				return SyncSummary{}, errors.New("rate")
			}
			progress(SyncProgress{Pass: 1})
			return SyncSummary{To: req.To}, nil
		},
		End:     func(dialog.Name, func(*dialog.View) bool) bool { did.end++; return true },
		Allowed: func() AllowList { return AllowList{Allow: []string{}} },
		Allow: func(_ context.Context, req AllowRequest) (AllowList, error) {
			did.allow++
			for _, p := range slices.Concat(req.Add, req.Remove) {
				if _, err := netip.ParsePrefix(p); err != nil {
					return AllowList{}, &RequestError{err}
				}
			}
			return AllowList{}, nil
		},
		Save: func(context.Context, FileRequest) (SaveSummary, error) { did.save++; return SaveSummary{}, nil },
		Load: func(context.Context, FileRequest) (LoadSummary, error) {
			did.load++
			return LoadSummary{}, errors.New("no such file")
		},
	}
}

// FuzzRequests sends any request to the API, with and without the permission to change things. The server must answer
// with a known status and complete JSON, with an error in one object. A request that only reads, or that has no
// permission, must change nothing.
func FuzzRequests(f *testing.F) {
	for _, target := range []string{
		"/v1/status", "/v1/dialogs", "/v1/dialogs/count", "/v1/ghosts", "/v1/allow", "/v1/sync", "/v1/save", "/v1/load", "/", "/v1/../v1//status",
	} {
		for _, query := range []string{
			"", "times=2", "times=NaN", "times=1e9", "limit=3&state=live&state=2", "limit=-1", "limit=99999999999999999999", "origin=192.0.2.9:5555",
			"callid=%ff%00&from=sip&to=%", "state=ended", "a;b",
		} {
			f.Add(http.MethodGet, target, query, []byte(nil), false)
			f.Add(http.MethodPost, target, query, []byte(`{"to":"192.0.2.1:5556","rate":-1,"path":"/x","add":["10.0.0.0/8"]}`), true)
		}
	}
	f.Add("PATCH", "*", "", []byte("{"), true)
	f.Add(http.MethodPost, "/v1/sync", "", bytes.Repeat([]byte("["), 20_000), true)
	socket := filepath.Join(f.TempDir(), "control.sock")
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		f.Fatal(err)
	}
	var did touched
	b := fuzzBackend(f, &did)
	routes := b.routes(socket)
	f.Fuzz(func(t *testing.T, method, path, query string, body []byte, permitted bool) {
		did = touched{}
		before := b.Table.Counts()
		ctx := t.Context()
		who := &peer{uid: 4_000_000_000} // nobody
		if permitted {
			who.uid = 0
		}
		r := (&http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: query}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{}, Body: http.NoBody, Host: "binrepd", RequestURI: path,
		}).WithContext(context.WithValue(ctx, peerKey{}, who))
		if len(body) > 0 {
			r.Body, r.ContentLength = readCloser{bytes.NewReader(body)}, int64(len(body))
		}
		w := httptest.NewRecorder()
		routes.ServeHTTP(finalOnly{w}, r)
		if b.Table.Counts() != before {
			t.Fatal("the table has changed")
		}
		if (!permitted || method != http.MethodPost) && did != (touched{}) {
			t.Fatalf("%s %s by someone who may change things: %v: did %+v", method, path, permitted, did)
		}
		checkAnswer(t, w)
	})
}

// finalOnly hides informational answers from the recorder, which would take the first of them for the final one.
type finalOnly struct{ *httptest.ResponseRecorder }

func (f finalOnly) WriteHeader(status int) {
	if status >= 200 {
		f.ResponseRecorder.WriteHeader(status)
	}
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// checkAnswer parses an answer as a client does.
func checkAnswer(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	ours := strings.HasPrefix(w.Header().Get("Content-Type"), "application/")
	switch w.Code {
	case http.StatusOK:
	case http.StatusBadRequest, http.StatusForbidden, http.StatusInternalServerError:
		var said failure
		if err := json.Unmarshal(w.Body.Bytes(), &said); ours && (err != nil || said.Error == "") {
			t.Fatalf("status %d with %q: %v", w.Code, w.Body, err)
		}
		if w.Code == http.StatusInternalServerError && !strings.Contains(said.Error, "no such file") {
			t.Fatalf("an internal error: %s", said.Error)
		}
		return
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusMovedPermanently, http.StatusTemporaryRedirect:
		return // answered by net/http
	default:
		t.Fatalf("status %d", w.Code)
	}
	lines := bufio.NewScanner(w.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if !json.Valid(lines.Bytes()) {
			t.Fatalf("no JSON: %q", lines.Bytes())
		}
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
}
