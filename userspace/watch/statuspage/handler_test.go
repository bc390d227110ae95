package statuspage

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/watch/control"
)

// show is a handler for an appliance, bound to loopback.
func show(a *appliance) http.Handler {
	c := a.config()
	c.Bound = netip.MustParseAddrPort("127.0.0.1:9470")
	return Handler(c)
}

// get sends a request as a browser on the same host does. Header fields are name and value in turn.
func get(h http.Handler, method, path string, fields ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "localhost:9470"
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var paths = [...]string{"/", "/api/status", "/api/trend", "/api/dialogs?callid=x"}

func TestHeaders(t *testing.T) {
	h := show(empty(time.Now()))
	for _, path := range append(paths[:], "/nothing", "/api/dialogs", "/api/trend?after=x") {
		resp := get(h, "GET", path)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		policy := resp.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "script-src 'sha256-"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy lacks %s: %s", path, want, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || strings.Contains(policy, "*") {
			t.Errorf("%s: the policy lets others in: %s", path, policy)
		}
		for name := range resp.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: answers with %s", path, name)
			}
		}
		if strings.HasPrefix(path, "/api/") && resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be kept: %q", path, resp.Header.Get("Cache-Control"))
		}
	}
}

func TestKinds(t *testing.T) {
	h := show(empty(time.Now()))
	for path, want := range map[string]struct {
		code int
		kind string
	}{
		"/":                              {200, "text/html; charset=utf-8"},
		"/api/status":                    {200, "application/json"},
		"/api/trend":                     {200, "application/json"},
		"/api/trend?after=1":             {200, "application/json"},
		"/api/dialogs?callid=x":          {200, "application/json"},
		"/api/trend?after=now":           {400, "application/json"},
		"/api/dialogs":                   {400, "application/json"},
		"/api/dialogs?callid=":           {400, "application/json"},
		"/index.html":                    {404, "text/plain; charset=utf-8"},
		"/page/page.css":                 {404, "text/plain; charset=utf-8"},
		"/api/":                          {404, "text/plain; charset=utf-8"},
		"/api/dialogs/":                  {404, "text/plain; charset=utf-8"},
		"/api/dialogs?callid=" + longest: {400, "application/json"},
	} {
		resp := get(h, "GET", path)
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != want.code || got != want.kind {
			t.Errorf("%.40s: %d %s, want %d %s", path, resp.StatusCode, got, want.code, want.kind)
		}
	}
}

var longest = strings.Repeat("x", longestCallID+1)

func TestItReadsOnly(t *testing.T) {
	a := empty(time.Now())
	h := show(a)
	for _, path := range append(paths[:], "/nothing") {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PROPFIND"} {
			resp := get(h, method, path)
			if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %s, Allow %q", method, path, resp.Status, resp.Header.Get("Allow"))
			}
		}
	}
	if a.taken != 0 {
		t.Errorf("%d statuses were taken for requests that were refused", a.taken)
	}
	for _, path := range paths {
		if resp := get(h, "HEAD", path); resp.StatusCode != http.StatusOK {
			t.Errorf("HEAD %s: %s", path, resp.Status)
		}
	}
}

// TestStatusIsThatOfTheCommand: the same JSON as `binrepd status --json`, plain and compressed.
func TestStatusIsThatOfTheCommand(t *testing.T) {
	a := busy(time.Now())
	want, err := json.Marshal(a.status)
	if err != nil {
		t.Fatal(err)
	}
	h := show(a)
	if got := body(t, get(h, "GET", "/api/status")); got != string(want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
	resp := get(h, "GET", "/api/status", "Accept-Encoding", "br, gzip")
	if resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("not compressed: %v", resp.Header)
	}
	if got := unpack(t, resp); !bytes.Equal(got, want) {
		t.Errorf("compressed: got %s\nwant %s", got, want)
	}
}

func unpack(t *testing.T, resp *http.Response) []byte {
	t.Helper()
	r, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDialogsOfACall(t *testing.T) {
	now := time.Now()
	a := empty(now)
	d := call(now, "caf\xe9@x")
	d.CallerTag = "\xff<b>"
	a.dialogs = map[string][]control.Dialog{"caf\xe9@x": {d}}
	h := show(a)

	got := body(t, get(h, "GET", "/api/dialogs?callid=caf%E9@x"))
	one, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"total":1,"dialogs":[` + string(one) + `]}` + "\n"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := body(t, get(h, "GET", "/api/dialogs?callid=nobody")); got != `{"total":0,"dialogs":[]}`+"\n" {
		t.Errorf("unknown Call-ID: %s", got)
	}
}

// TestAnswersAreBounded searches for calls with as many dialogs as the table keeps: small ones, and ones of the largest
// packets in which every byte takes six in JSON.
func TestAnswersAreBounded(t *testing.T) {
	now := time.Now()
	a := empty(now)
	small, large := call(now, "small"), call(now, "large")
	large.CallerRouteSet = control.Text(strings.Repeat("\xff", 64<<10))
	a.dialogs = map[string][]control.Dialog{}
	for range 128 {
		a.dialogs["small"] = append(a.dialogs["small"], small)
		a.dialogs["large"] = append(a.dialogs["large"], large)
	}
	h := show(a)
	for callID, least := range map[string]int{"small": mostDialogs, "large": 1} {
		text := body(t, get(h, "GET", "/api/dialogs?callid="+callID))
		var found Found
		if err := json.Unmarshal([]byte(text), &found); err != nil {
			t.Fatal(err)
		}
		if found.Total != 128 || len(found.Dialogs) != least || len(text) > mostBytes+1000 {
			t.Errorf("%s: %d of %d dialogs in %d bytes, want %d", callID, len(found.Dialogs), found.Total, len(text), least)
		}
	}
}

// TestOtherSites: browsers report where a request comes from, and only our own page gets the data.
func TestOtherSites(t *testing.T) {
	h := show(empty(time.Now()))
	for site, want := range map[string]int{"cross-site": 403, "same-site": 403, "same-origin": 200, "none": 200, "": 200} {
		for _, path := range paths[1:] {
			if resp := get(h, "GET", path, "Sec-Fetch-Site", site); resp.StatusCode != want {
				t.Errorf("%s from %q: %s, want %d", path, site, resp.Status, want)
			}
		}
		// A link on another site may lead to the page.
		if resp := get(h, "GET", "/", "Sec-Fetch-Site", site); resp.StatusCode != 200 {
			t.Errorf("the page from %q: %s", site, resp.Status)
		}
	}
}

func TestPageIsKept(t *testing.T) {
	h := show(empty(time.Now()))
	first := get(h, "GET", "/")
	tag := first.Header.Get("ETag")
	if tag == "" || first.Header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("ETag %q, Cache-Control %q", tag, first.Header.Get("Cache-Control"))
	}
	again := get(h, "GET", "/", "If-None-Match", tag)
	if again.StatusCode != http.StatusNotModified || body(t, again) != "" || again.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("the same page again: %s", again.Status)
	}
	if other := get(h, "GET", "/", "If-None-Match", `W/"other"`); other.StatusCode != 200 {
		t.Errorf("another page: %s", other.Status)
	}
	plain := body(t, first)
	if packed := unpack(t, get(h, "GET", "/", "Accept-Encoding", "gzip")); string(packed) != plain {
		t.Error("the compressed page is another one")
	}
}

// TestPageIsWhole: the page is one document, the policy covers every script and style, and it uses no external address.
func TestPageIsWhole(t *testing.T) {
	resp := get(show(empty(time.Now())), "GET", "/")
	text, policy := body(t, resp), resp.Header.Get("Content-Security-Policy")
	for tag, directive := range map[string]string{"style": "style-src", "script": "script-src"} {
		open := strings.Index(text, "<"+tag)
		_, rest, _ := strings.Cut(text[open:], ">")
		inside, after, closed := strings.Cut(rest, "</"+tag+">")
		if !closed || len(inside) < 1000 {
			t.Fatalf("no %s in the page", tag)
		}
		if !strings.Contains(policy, directive+" '"+hash(inside)+"'") {
			t.Errorf("the policy doesn't know the %s: %s", tag, policy)
		}
		if strings.Contains(after, "<"+tag) || strings.Contains(inside, "<!--") {
			t.Errorf("more than one %s, or one that a comment may swallow", tag)
		}
	}
	for _, not := range []string{"/*STYLE*/", "/*SCRIPT*/", " style=", " onclick=", " onload=", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "@import", "url("} {
		if strings.Contains(text, not) {
			t.Errorf("the page has %s", not)
		}
	}
	// The only address is the name of the SVG namespace, which is never fetched.
	if outside := strings.ReplaceAll(text, "http://www.w3.org/2000/svg", ""); strings.Contains(outside, "http:") || strings.Contains(outside, "https:") || strings.Contains(outside, `"//`) {
		t.Error("the page names an address outside")
	}
}

// TestScriptsAreListed: every file of the page is part of it.
func TestScriptsAreListed(t *testing.T) {
	entries, err := files.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".js") {
			found = append(found, e.Name())
		}
		if lines := strings.Count(part(e.Name()), "\n"); lines > 400 {
			t.Errorf("%s has %d lines: divide it", e.Name(), lines)
		}
	}
	listed := map[string]bool{}
	for _, name := range scripts {
		listed[name] = true
	}
	if len(found) != len(scripts) || !reflect.DeepEqual(listed, set(found)) {
		t.Errorf("in the folder %q, in the page %q", found, scripts)
	}
}

func set(names []string) map[string]bool {
	s := map[string]bool{}
	for _, n := range names {
		s[n] = true
	}
	return s
}
