package opensipstest

import (
	"bytes"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"binrepd/dialog"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Argument {
		os.Exit(Main(os.Args[2:], os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}

const (
	now  = 1_800_000_000
	home = "udp:10.0.0.2:5060"
)

func call() dialog.Details {
	return dialog.Details{
		CallID: "1", FromTag: "f", ToTag: "t", FromURI: "sip:a@b", ToURI: "sip:c@d",
		Start: now, State: dialog.Answered, CallerSocket: home, CalleeSocket: home, CallerCSeq: "0", CalleeCSeq: "1",
		CallerRouteSet: "<sip:edge;lr>", CallerContact: "sip:a@x", CalleeContact: "sip:c@y",
		Vars: "v#1|w#2|", Profiles: "p#x|q#|", Timeout: now + 3600,
	}
}

func packet(kind dialog.Kind, d dialog.Details) []byte {
	if kind == dialog.Delete {
		return bin1.Append(nil, kind, d.AppendKey(nil))
	}
	return bin1.Append(nil, kind, d.AppendPacked(nil))
}

func with(change func(*dialog.Details)) dialog.Details {
	d := call()
	change(&d)
	return d
}

type step struct {
	kind dialog.Kind
	dialog.Details
}

func TestCommands(t *testing.T) {
	confirmed := with(func(d *dialog.Details) {
		d.State, d.CalleeCSeq, d.Vars, d.Profiles = dialog.Confirmed, "7", "w#3|x#4|", "p#other|r#|"
		d.FromURI, d.CallerSocket, d.Start = "sip:other@b", "udp:192.0.2.1:5060", now+1
	})
	refreshed := with(func(d *dialog.Details) {
		d.State, d.CalleeCSeq, d.Vars, d.Profiles = dialog.Confirmed, "7", "x#4|v#1|w#3|", "r#|p#x|q#|"
	})
	swapped := with(func(d *dialog.Details) { d.FromTag, d.ToTag = d.ToTag, d.FromTag })
	for name, c := range map[string]struct {
		steps []step
		want  []dialog.Details
		stats Statistics
		fault Faults
	}{
		"a creation": {[]step{{dialog.Create, call()}}, []dialog.Details{call()},
			Statistics{CreateReceived: 1, Processed: 1, Active: 1}, Faults{}},
		"a creation of a known key changes nothing": {[]step{{dialog.Create, call()}, {dialog.Create, confirmed}}, []dialog.Details{call()},
			Statistics{CreateReceived: 2, Processed: 2, Active: 1, Known: 1}, Faults{}},
		"an update builds": {[]step{{dialog.Update, call()}}, []dialog.Details{call()},
			Statistics{UpdateReceived: 1, Processed: 1, Active: 1}, Faults{}},
		"an update takes over a part": {[]step{{dialog.Create, call()}, {dialog.Update, confirmed}}, []dialog.Details{refreshed},
			Statistics{CreateReceived: 1, UpdateReceived: 1, Processed: 1, Active: 1}, Faults{}},
		"a foreign socket": {[]step{{dialog.Create, confirmed}, {dialog.Update, confirmed}}, nil,
			Statistics{CreateReceived: 1, UpdateReceived: 1, Processed: 2, RefusedSocket: 2}, Faults{}},
		"no callee's socket": {[]step{{dialog.Create, with(func(d *dialog.Details) { d.CalleeSocket = "" })}}, nil,
			Statistics{CreateReceived: 1, Processed: 1, RefusedSocket: 1}, Faults{}},
		"a deletion": {[]step{{dialog.Create, call()}, {dialog.Delete, call()}}, nil,
			Statistics{CreateReceived: 1, DeleteReceived: 1, Processed: 1}, Faults{}},
		"a deletion with swapped tags": {[]step{{dialog.Create, call()}, {dialog.Delete, swapped}}, nil,
			Statistics{CreateReceived: 1, DeleteReceived: 1, Processed: 1}, Faults{}},
		"a deletion is not remembered": {[]step{{dialog.Delete, call()}, {dialog.Update, call()}}, []dialog.Details{call()},
			Statistics{UpdateReceived: 1, DeleteReceived: 1, Processed: 1, Active: 1, NotFound: 1}, Faults{}},
		"an early one stays for ever": {[]step{{dialog.Update, with(func(d *dialog.Details) { d.State = dialog.Early })}}, nil,
			Statistics{UpdateReceived: 1, Processed: 1, Active: 1}, Faults{Leaked: 1}},
		"an ended one turns invisible": {[]step{{dialog.Create, call()}, {dialog.Update, with(func(d *dialog.Details) { d.State = dialog.Ended })}}, nil,
			Statistics{CreateReceived: 1, UpdateReceived: 1, Processed: 1, Active: 1}, Faults{Leaked: 1}},
		"too many routes": {[]step{{dialog.Create, with(func(d *dialog.Details) { d.CallerRouteSet = strings.Repeat("<sip:a>,", 64) + `"a" <sip:a>` })}},
			[]dialog.Details{with(func(d *dialog.Details) { d.CallerRouteSet = strings.Repeat("<sip:a>,", 64) + `"a" <sip:a>` })},
			Statistics{CreateReceived: 1, Processed: 1, Active: 1}, Faults{Overwritten: 1}},
		"routes that don't parse": {[]step{{dialog.Create, with(func(d *dialog.Details) { d.CallerRouteSet = "sip:a" })}}, nil,
			Statistics{CreateReceived: 1, Processed: 1, RefusedRoute: 1}, Faults{}},
		"no contact": {[]step{{dialog.Create, with(func(d *dialog.Details) { d.CallerContact = "" })}},
			[]dialog.Details{with(func(d *dialog.Details) { d.CallerContact, d.CallerRouteSet = "", "" })},
			Statistics{CreateReceived: 1, Processed: 1, Active: 1}, Faults{}},
		"no Call-ID": {[]step{{dialog.Create, with(func(d *dialog.Details) { d.CallID = "" })}, {dialog.Create, call()}}, nil,
			Statistics{CreateReceived: 1}, Faults{Crashed: "empty Call-ID"}},
		"variables that lead astray": {[]step{{dialog.Create, with(func(d *dialog.Details) { d.Vars = "v#1|w|x#2|" })}},
			[]dialog.Details{with(func(d *dialog.Details) { d.Vars = "v#1|" })},
			Statistics{CreateReceived: 1, Processed: 1, Active: 1}, Faults{Astray: 1}},
		"a timeout before the start": {[]step{{dialog.Create, call()}, {dialog.Update, with(func(d *dialog.Details) { d.Timeout = now - 7200 })}},
			[]dialog.Details{with(func(d *dialog.Details) { d.Timeout = now - 7200 })},
			Statistics{CreateReceived: 1, UpdateReceived: 1, Processed: 1, Active: 1}, Faults{NeverExpire: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := New(Config{Sockets: []string{home}, Started: now - 3600})
			for _, s := range c.steps {
				r.Handle(packet(s.kind, s.Details), now)
			}
			for _, difference := range bin1test.DiffDetails(r.Live(), c.want) {
				t.Error(difference)
			}
			if got := r.Statistics(); got != c.stats {
				t.Errorf("statistics %+v, want %+v", got, c.stats)
			}
			if got := r.Faults(); got != c.fault {
				t.Errorf("faults %+v, want %+v", got, c.fault)
			}
		})
	}
}

func TestBrokenPackets(t *testing.T) {
	good := packet(dialog.Create, call())
	for name, c := range map[string]struct {
		packet []byte
		fault  Faults
		active int64
	}{
		"short":         {good[:17], Faults{}, 0},
		"checksum":      {append(bytes.Clone(good), 0), Faults{}, 0},
		"more behind":   {resealed(append(bytes.Clone(good), "junk"...)), Faults{}, 1},
		"one field cut": {resealed(bytes.Clone(good[:len(good)-1])), Faults{Undefined: 1}, 0},
		"negative":      {resealed(append(bytes.Clone(good[:22]), 0xff, 0xff, 0xff, 0xff)), Faults{Crashed: "negative length"}, 0},
		"no command":    {resealed(append(bytes.Clone(good[:18]), 4, 0, 0, 0)), Faults{}, 0},
	} {
		r := New(Config{Sockets: []string{home}})
		r.Handle(c.packet, now)
		if r.Faults() != c.fault || r.Statistics().Active != c.active {
			t.Errorf("%s: %+v, %+v", name, r.Faults(), r.Statistics())
		}
	}
}

func resealed(p []byte) []byte {
	sum := bin1.Checksum(p)
	p[4], p[5], p[6], p[7] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
	return p
}

func TestTick(t *testing.T) {
	r := New(Config{Sockets: []string{home}})
	r.Handle(packet(dialog.Create, call()), now)
	r.Handle(packet(dialog.Create, with(func(d *dialog.Details) { d.CallID, d.Flags = "2", 0x18 })), now)
	r.Tick(now + 3599)
	if s := r.Statistics(); s.Expired != 0 {
		t.Errorf("early: %+v", s)
	}
	r.Tick(now + 3600)
	if s, f := r.Statistics(), r.Faults(); s.Expired != 2 || s.Active != 0 || f.Byes != 1 {
		t.Errorf("%+v, %+v", s, f)
	}
}

// TestNothingThatPassesTheShieldDoesHarm sends whatever a hostile proxy may send through a shield.
func TestNothingThatPassesTheShieldDoesHarm(t *testing.T) {
	pairs := rapid.OneOf(rapid.Just(""), rapid.Just("a#b|c#|"), rapid.StringOfN(rapid.SampledFrom([]rune(`a#|\`)), 0, 12, -1))
	set := rapid.Custom(func(t *rapid.T) string {
		entry := rapid.SampledFrom([]string{"<sip:a>", `"a" <sip:a,b>`, `"a,<" <b>`, "<>", "sip:a", `"`, "<"})
		return strings.Join(rapid.SliceOfN(entry, 0, 70).Draw(t, "routes"), ",")
	})
	uniform := rapid.Custom(func(t *rapid.T) string {
		return strings.TrimSuffix(strings.Repeat(rapid.SampledFrom([]string{"<a>,", `"a" <sip:b>,`}).Draw(t, "entry"),
			rapid.IntRange(60, 70).Draw(t, "n")), ",")
	})
	routeSet := rapid.OneOf(rapid.Just(""), set, uniform)
	passed := 0
	rapid.Check(t, func(t *rapid.T) {
		sh, err := shield.New(shield.Policy{ClearByeOnTimeout: true, Rewrites: []shield.SocketRewrite{{Old: "udp:10.0.0.1:5060", New: home}}})
		if err != nil {
			t.Fatal(err)
		}
		r := New(Config{Sockets: []string{home}, Started: now - 3600})
		for range rapid.IntRange(1, 10).Draw(t, "packets") {
			d := call()
			d.CallID = rapid.SampledFrom([]string{"1", "1", "2", ""}).Draw(t, "Call-ID")
			d.State = dialog.State(rapid.IntRange(0, 6).Draw(t, "state"))
			d.CallerSocket = rapid.SampledFrom([]string{home, "udp:10.0.0.1:5060", ""}).Draw(t, "socket")
			d.CallerRouteSet, d.CalleeRouteSet = routeSet.Draw(t, "routes"), routeSet.Draw(t, "routes")
			d.Vars, d.Profiles = pairs.Draw(t, "vars"), pairs.Draw(t, "profiles")
			d.Flags = rapid.SampledFrom([]uint32{0, 8, 0x18}).Draw(t, "flags")
			kind := rapid.SampledFrom([]dialog.Kind{dialog.Create, dialog.Update, dialog.Delete}).Draw(t, "kind")
			p := packet(kind, d)
			if rapid.IntRange(0, 9).Draw(t, "damage") == 0 {
				at := rapid.IntRange(22, len(p)-1).Draw(t, "at")
				p[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
				resealed(p)
			}
			c := bin1test.Unframed(kind, p)
			c.BodySpan.From, c.Framed = uint32(bin1.Size(nil)), true
			if _, out := sh.Process(nil, &c); out.Held == shield.Passed {
				r.Handle(out.Packet, now)
				passed++
			}
		}
		r.Tick(now + 1<<33)
		if f := r.Faults(); f.Crashed != "" || f.Undefined+f.Overwritten+f.Astray+f.Leaked+f.Byes != 0 {
			t.Fatalf("%+v", f)
		}
	})
	if passed == 0 {
		t.Error("nothing passed")
	}
}

func TestProcess(t *testing.T) {
	p, err := Start(os.Args[0], "-sockets", home, "-rate", "1000")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, id := range []string{"1", "2"} {
		if _, err := conn.Write(packet(dialog.Create, with(func(d *dialog.Details) { d.CallID = id }))); err != nil {
			t.Fatal(err)
		}
	}
	var report Report
	for deadline := time.Now().Add(30 * time.Second); report.Statistics.CreateReceived < 2; {
		if report, err = p.Report(); err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	want := []dialog.Details{call(), with(func(d *dialog.Details) { d.CallID = "2" })}
	for _, difference := range bin1test.DiffDetails(report.Live, want) {
		t.Error(difference)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := Start(os.Args[0], "-listen", "nonsense"); err == nil {
		t.Error("started without an address")
	}
}
