package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testNow = 1_800_000_000

var steering = packets.Steering{K0: 3, K1: 4}

// apply puts payloads into the table, with origin 1.
func apply(t *testing.T, table *dialog.Table, payloads ...[]byte) {
	t.Helper()
	for _, p := range payloads {
		var ev dialog.Event
		if v := bin1.Decode(p, &ev); v != bin1.Dialog {
			t.Fatalf("packet: %s", v)
		}
		ev.Hash = steering.Hash(p, packets.Endpoint{})
		ev.Origin = 1
		s := table.Lock(table.ShardOf(ev.Hash))
		s.Apply([]*dialog.Event{&ev}, testNow)
		s.Unlock()
	}
}

// serve runs a server over a table and returns its client.
func serve(t *testing.T) (*Client, *dialog.Table) {
	t.Helper()
	return serveBackend(t, &Backend{
		Status: func() Status { return Status{Version: "test", Dialogs: 7} },
		Origin: func(n uint16) netip.AddrPort {
			if n == 1 {
				return netip.MustParseAddrPort("192.0.2.9:5555")
			}
			return netip.AddrPort{}
		},
	})
}

func list(t *testing.T, c *Client, f Filter) (out []Dialog) {
	t.Helper()
	err := c.Dialogs(context.Background(), f, func(line []byte) error {
		var d Dialog
		if err := json.Unmarshal(line, &d); err != nil {
			return err
		}
		out = append(out, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStatus(t *testing.T) {
	c, _ := serve(t)
	s, err := c.Status(context.Background())
	if err != nil || s.Version != "test" || s.Dialogs != 7 {
		t.Errorf("status %+v, error %v", s, err)
	}
}

// TestListHasTheKeysOfDlgList compares with the output of the sender of the captures, key by key and type by type.
func TestListHasTheKeysOfDlgList(t *testing.T) {
	for _, capture := range bin1test.Captures(t) {
		t.Run(capture.Name, func(t *testing.T) {
			c, table := serve(t)
			for _, d := range capture.Datagrams {
				if string(bin1.Capability(d.Payload)) == "dialog" {
					apply(t, table, d.Payload)
				}
			}
			var listed []bin1test.Listed
			err := c.Dialogs(context.Background(), Filter{}, func(line []byte) error {
				got, err := bin1test.ReadListed(bytes.NewReader(line))
				listed = append(listed, got...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range bin1test.DiffListed(listed, capture.Expected) {
				t.Error(line)
			}
		})
	}
}

func TestDialogRendering(t *testing.T) {
	c, table := serve(t)
	d := dialog.Details{
		CallID: "caf\xe9\"@x", FromTag: "f", ToTag: "t", State: dialog.Confirmed, Start: 5, Timeout: testNow + 10,
		CallerCSeq: "11", CalleeCSeq: "12", UserFlags: 8, Flags: 24, HID: 99, MangledFrom: "sip:m@x",
		Vars: `route#gw1;pri=1\|x|account#a|`, Profiles: `inbound#|caller#x|caller#y|`,
	}
	bad := dialog.Details{CallID: "bad", State: dialog.Confirmed, Timeout: testNow + 10, Vars: "no end", Profiles: "x"}
	apply(t, table, bin1.Append(nil, dialog.Update, d.AppendPacked(nil)), bin1.Append(nil, dialog.Update, bad.AppendPacked(nil)))

	var lines []string
	if err := c.Dialogs(context.Background(), Filter{CallID: d.CallID}, func(line []byte) error {
		lines = append(lines, string(line))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 1 {
		t.Fatalf("%d lines, want 1", len(lines))
	}
	for _, want := range []string{
		`"callid":"caf\\xe9\"@x"`, `"state":4`, `"user_flags":"8"`, `"timestart":5`, `"callee_cseq":"11"`, `"caller_cseq":"12"`,
		`"flags":24`, `"h_id":99`, `"vars":{"account":"a","route":"gw1;pri=1|x"}`,
		`"profiles":[{"name":"inbound"},{"name":"caller","value":"x"},{"name":"caller","value":"y"}]`,
		`"mangled_from_uri":"sip:m@x"`, `"origin":"192.0.2.9:5555"`, fmt.Sprintf(`"updated":%d`, testNow),
	} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("no %s in %s", want, lines[0])
		}
	}
	got := list(t, c, Filter{CallID: "bad"})
	if len(got) != 1 || got[0].RawVars != "no end" || got[0].RawProfiles != "x" || len(got[0].Vars) != 0 {
		t.Errorf("lists that can't be read: %+v", got)
	}
}

func TestFilters(t *testing.T) {
	c, table := serve(t)
	add := func(id, from, to string, state dialog.State) {
		d := dialog.Details{CallID: id, FromTag: "f", ToTag: "t", FromURI: from, ToURI: to, State: state, Start: 5, Timeout: testNow + 10}
		if state.BeingSetUp() {
			d.ToTag, d.Start = "", 0
		}
		apply(t, table, bin1.Append(nil, dialog.Update, d.AppendPacked(nil)))
	}
	add("a", "sip:alice@x", "sip:bob@y", dialog.Answered)
	add("b", "sip:alice@x", "sip:carol@y", dialog.Confirmed)
	add("c", "sip:dave@x", "sip:bob@y", dialog.Confirmed)
	add("e", "sip:alice@x", "sip:bob@y", dialog.Early)
	gone := dialog.Details{CallID: "g"}
	apply(t, table, bin1.Append(nil, dialog.Delete, gone.AppendKey(nil)))

	for _, test := range []struct {
		name   string
		filter Filter
		want   string
	}{
		{"live", Filter{}, "a b c"},
		{"all", Filter{States: []dialog.State{1, 2, 3, 4}}, "a b c e"},
		{"state", Filter{States: []dialog.State{dialog.Answered}}, "a"},
		{"from", Filter{From: "alice"}, "a b"},
		{"from and to", Filter{From: "alice", To: "bob"}, "a"},
		{"Call-ID", Filter{CallID: "c"}, "c"},
		{"Call-ID of an early one", Filter{CallID: "e"}, ""},
		{"ended", Filter{CallID: "g", States: []dialog.State{1, 2, 3, 4}}, ""},
		{"origin", Filter{Origin: "192.0.2.9"}, "a b c"},
		{"origin with port", Filter{Origin: "192.0.2.9:5555"}, "a b c"},
		{"another origin", Filter{Origin: "192.0.2.9:5556"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var ids []string
			for _, d := range list(t, c, test.filter) {
				ids = append(ids, string(d.CallID))
			}
			slices.Sort(ids)
			if got := strings.Join(ids, " "); got != test.want {
				t.Errorf("listed %q, want %q", got, test.want)
			}
			n, err := c.Count(context.Background(), test.filter)
			if err != nil || n != uint64(len(ids)) {
				t.Errorf("counted %d (%v), listed %d", n, err, len(ids))
			}
		})
	}
	if got := list(t, c, Filter{Limit: 2}); len(got) != 2 {
		t.Errorf("limit 2: %d dialogs", len(got))
	}
}

func TestWrongFiltersAreRefused(t *testing.T) {
	c, _ := serve(t)
	if _, err := c.Count(context.Background(), Filter{Origin: "nonsense"}); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("error %v", err)
	}
	if _, err := ParseStates([]string{"ringing"}); err == nil || !strings.Contains(err.Error(), "ringing") {
		t.Errorf("error %v", err)
	}
}

// TestLargeListIsComplete lists more dialogs than one step of a scan visits.
func TestLargeListIsComplete(t *testing.T) {
	c, table := serve(t)
	proxy := bin1test.NewProxy(1, bin1test.Realistic(testNow, 1))
	const dialogs = 5000
	for i := range dialogs {
		apply(t, table, proxy.AppendPacket(nil, uint64(i), bin1test.Create))
	}
	seen := map[Text]bool{}
	for _, d := range list(t, c, Filter{}) {
		seen[d.CallID] = true
	}
	if len(seen) != dialogs {
		t.Errorf("%d different dialogs, want %d", len(seen), dialogs)
	}
}

// TestClientThatStopsReading: a client that reads nothing doesn't delay other clients.
func TestClientThatStopsReading(t *testing.T) {
	c, table := serve(t)
	proxy := bin1test.NewProxy(1, bin1test.Realistic(testNow, 1))
	for i := range 5000 {
		apply(t, table, proxy.AppendPacket(nil, uint64(i), bin1test.Create))
	}
	conn, err := net.Dial("unix", c.path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /v1/dialogs HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil { // the list has begun
		t.Fatal(err)
	}
	apply(t, table, proxy.AppendPacket(nil, 6000, bin1test.Create))
	if n, err := c.Count(context.Background(), Filter{}); err != nil || n != 5001 {
		t.Errorf("count %d, error %v", n, err)
	}
}

func TestClientGoesAwayInTheMiddle(t *testing.T) {
	c, table := serve(t)
	proxy := bin1test.NewProxy(1, bin1test.Realistic(testNow, 1))
	for i := range 5000 {
		apply(t, table, proxy.AppendPacket(nil, uint64(i), bin1test.Create))
	}
	stop := errors.New("enough")
	if err := c.Dialogs(context.Background(), Filter{}, func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
	if n, err := c.Count(context.Background(), Filter{}); err != nil || n != 5000 {
		t.Errorf("count %d, error %v", n, err)
	}
}

func TestSocketFile(t *testing.T) {
	backend := Backend{Status: func() Status { return Status{} }}
	log := slog.New(slog.DiscardHandler)
	path := filepath.Join(t.TempDir(), "sub", "control.sock")

	first, err := Listen(path, backend, log)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != socketMode {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- first.Serve(ctx) }()
	if _, err := Listen(path, backend, log); err == nil || !strings.Contains(err.Error(), "another binrepd listens") {
		t.Errorf("a second server on a live socket: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	// A socket file of a dead process.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	second, err := Listen(path, backend, log)
	if err != nil {
		t.Fatalf("stale socket: %v", err)
	}
	second.Close()

	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, backend, log); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("an ordinary file: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file is %q now (%v)", b, err)
	}
}

func TestNoServer(t *testing.T) {
	_, err := NewClient(filepath.Join(t.TempDir(), "none.sock")).Status(context.Background())
	if err == nil || !strings.Contains(err.Error(), "binrepd run") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
}

func TestAccountAddsUp(t *testing.T) {
	a := Account{Seen: 21, Applied: 1, Duplicate: 2, Stale: 3, Late: 4, Unknown: 5, Rejected: map[string]uint64{"x": 1, "y": 2}, Lost: map[string]uint64{"z": 3}}
	if a.Sum() != a.Seen {
		t.Errorf("sum %d, want %d", a.Sum(), a.Seen)
	}
}

func TestTextKeepsEveryByte(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	got, err := json.Marshal(Text(all))
	if err != nil || !json.Valid(got) {
		t.Fatalf("%s: %v", got, err)
	}
	if n := strings.Count(string(got), `\\x`); n != 30+128 {
		t.Errorf("%d escaped bytes, want 30 control characters and the 128 that are not UTF-8: JSON escapes CR, LF and TAB", n)
	}
}

// TestShutdownDoesNotHang: a connection that never ends doesn't keep the server alive after its grace time.
func TestShutdownDoesNotHang(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	s, err := Listen(path, Backend{Status: func() Status { return Status{} }}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /v1/sta")); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("still serving")
	}
}
