package mi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/mi"
	"binrepd/userspace/mi/mitest"
)

// TestTransports: each dialect is found over each transport, and a walk over pages sees every dialog with all its fields.
func TestTransports(t *testing.T) {
	for _, release := range mitest.Releases() {
		for _, transport := range mitest.Transports(release) {
			t.Run(release+" "+transport, func(t *testing.T) {
				t.Parallel()
				const dialogs = 1203
				p := mitest.New(t, release)
				for i := range dialogs {
					p.Put(mitest.Call(i))
				}
				c := connect(t, p.Start(transport))
				if c.Dialect() != p.Dialect(transport) || !strings.HasPrefix(c.Version(), "OpenSIPS ("+release) {
					t.Errorf("%s, %s", c.Dialect(), c.Version())
				}
				seen := map[string]bool{}
				total, err := c.Dialogs(t.Context(), true, func(d mi.Dialog) error {
					seen[d.CallID] = len(d.Callees) == 1 && len(d.Values) == 2 && (len(d.Profiles) == 2 || d.ProfilesLost)
					return nil
				})
				whole := 0
				for _, all := range seen {
					if all {
						whole++
					}
				}
				if err != nil || total != dialogs || whole != dialogs {
					t.Errorf("%d of %d dialogs, total %d, %v", whole, dialogs, total, err)
				}
				want := mitest.Call(7)
				d, found, err := c.Dialog(t.Context(), want.CallID, want.Caller.Tag, false)
				if err != nil || !found || d.Caller != want.Caller || d.Callees[0] != want.Callees[0] {
					t.Errorf("%+v, %t, %v", d, found, err)
				}
				if _, found, err := c.Dialog(t.Context(), "nobody@x", "", false); found || err != nil {
					t.Errorf("%t, %v", found, err)
				}
			})
		}
	}
}

func connect(t *testing.T, at string) *mi.Client {
	t.Helper()
	address, err := mi.ParseAddress(at)
	if err != nil {
		t.Fatal(err)
	}
	c, err := mi.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestSpare: a client that spares the proxy leaves it as much time as it worked.
func TestSpare(t *testing.T) {
	p := mitest.New(t, "3.6")
	for i := range 400 {
		p.Put(mitest.Call(i))
	}
	var worked, before time.Duration // up to the last request, and without it
	begin, last := time.Now(), time.Duration(0)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last = time.Since(begin)
		p.ServeHTTP(w, r)
		before, worked = worked, worked+time.Since(begin)-last
	}))
	defer server.Close()
	c := connect(t, server.URL)
	c.Spare(0.25)
	worked, before, begin = 0, 0, time.Now()
	for range 10 {
		if _, err := c.Dialogs(t.Context(), true, func(mi.Dialog) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if last < 4*before {
		t.Errorf("the last request came after %s, of which the proxy worked %s", last, before)
	}
}

// TestPassword: user and password go in the header, and appear in no message.
func TestPassword(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "ann" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mitest.New(t, "3.6").ServeHTTP(w, r)
	}))
	defer server.Close()
	for userinfo, want := range map[string]bool{"ann:secret@": true, "ann:wrong@": false, "": false} {
		a, err := mi.ParseAddress(strings.Replace(server.URL, "://", "://"+userinfo, 1) + "/mi")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(a.String(), "secret") || strings.Contains(a.String(), "wrong") {
			t.Errorf("the password shows: %s", a)
		}
		c, err := mi.Connect(t.Context(), a)
		if (err == nil) != want {
			t.Errorf("%q: %v", userinfo, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "user and password") || strings.Contains(err.Error(), "wrong@")) {
			t.Error(err)
		}
		if c != nil {
			c.Close()
		}
	}
}
