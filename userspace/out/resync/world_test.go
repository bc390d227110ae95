package resync_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/out/resync/opensipstest"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == opensipstest.Argument {
		os.Exit(opensipstest.Main(os.Args[2:], os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}

// long tells that the long form of tests was asked for, as make chaos does.
func long() bool { return os.Getenv("BINREPD_CHAOS") == "1" }

// appliance is a table and a journal, fed as an engine feeds them.
type appliance struct {
	t      testing.TB
	table  *dialog.Table
	egress *egress.Egress
}

func newAppliance(t testing.TB, journal int) *appliance {
	t.Helper()
	table, err := dialog.NewTable(dialog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := egress.New(egress.Config{Sink: nowhere{}, Journal: journal, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close(context.Background())
		table.Close()
	})
	return &appliance{t: t, table: table, egress: e}
}

func (a *appliance) tail() resync.Tail { return a.egress.Tail() }

// watched is a tail that keeps the state of the table at the last moment that the session looked at. Shortly before each look
// it calls meanwhile.
type watched struct {
	resync.Tail
	a         *appliance
	mu        *sync.Mutex // held by meanwhile
	meanwhile func(messages int)
	live      []dialog.Details
}

func (w *watched) Head() uint64 {
	w.meanwhile(8)
	w.mu.Lock() // no event between the two looks
	defer w.mu.Unlock()
	w.live = w.a.live()
	return w.Tail.Head()
}

// take does with a packet what an engine does.
func (a *appliance) take(packet []byte) dialog.Outcome {
	var ev dialog.Event
	if v := bin1.Decode(packet, &ev); v != bin1.Dialog {
		a.t.Fatalf("a packet that is %v", v)
	}
	ev.Hash = packets.Steering{}.Hash(packet, packets.Endpoint{})
	ev.Origin = 1
	s := a.table.Lock(a.table.ShardOf(ev.Hash))
	defer s.Unlock()
	s.Apply([]*dialog.Event{&ev}, time.Now().Unix())
	if ev.Outcome.Changed() {
		c := bin1test.Change(packet)
		c.Source = ev.Origin
		a.egress.Forward([]changes.Change{c})
	}
	return ev.Outcome
}

func (a *appliance) takeDetails(kind dialog.Kind, d dialog.Details) dialog.Outcome {
	if kind == dialog.Delete {
		return a.take(bin1.Append(nil, kind, d.AppendKey(nil)))
	}
	return a.take(bin1.Append(nil, kind, d.AppendPacked(nil)))
}

// fill puts n live dialogs of a proxy into the table.
func (a *appliance) fill(p *bin1test.Proxy, n int) {
	for buf := []byte(nil); p.LiveCount() < n; {
		buf = p.Next(buf[:0])
		a.take(buf)
	}
}

func (a *appliance) live() []dialog.Details { return details(a.table, dialog.State.Live) }

func details(table *dialog.Table, which func(dialog.State) bool) (list []dialog.Details) {
	var cur dialog.Cursor
	for more := true; more; {
		more = table.Scan(&cur, func(v *dialog.View) {
			if which(v.State()) && !v.Tombstone() {
				list = append(list, v.Body().Details())
			}
		})
	}
	return list
}

// call makes one dialog.
func call(n int) dialog.Details {
	return dialog.Details{
		CallID: fmt.Sprint(n, "@example.org"), FromTag: "f", ToTag: "t", FromURI: "sip:a@b", ToURI: "sip:c@d",
		Start: uint32(time.Now().Unix()), State: dialog.Confirmed, CallerCSeq: "0", CalleeCSeq: "1",
		CallerSocket: home, CalleeSocket: home, CallerContact: "sip:a@x", CalleeContact: "sip:c@y",
		Vars: "v#1|", Profiles: "p#|", Timeout: uint32(time.Now().Unix()) + 3600,
	}
}

const home = "udp:10.0.0.2:5060"

var standby = packets.Endpoint{Addr: [16]byte{10: 0xff, 11: 0xff, 12: 192, 14: 2, 15: 1}, Port: 5556}

type nowhere struct{}

func (nowhere) Send(m []packets.Message) (int, error) { return len(m), nil }

// wire is a sink that delivers to a model of OpenSIPS. Before each batch it calls meanwhile with its size.
type wire struct {
	mu        sync.Mutex
	standby   *opensipstest.Receiver
	meanwhile func(messages int)
	lose      func() bool
	packets   int
	largest   int
}

func newWire(sockets ...string) *wire {
	return &wire{standby: opensipstest.New(opensipstest.Config{Sockets: sockets, Started: time.Now().Unix()})}
}

func (l *wire) Send(messages []packets.Message) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.meanwhile != nil {
		l.meanwhile(len(messages))
	}
	l.largest = max(l.largest, len(messages))
	for _, m := range messages {
		if m.To != standby {
			return 0, fmt.Errorf("a message to %v", m.To)
		}
		l.packets++
		if l.lose == nil || !l.lose() {
			l.standby.Handle(m.Payload, time.Now().Unix())
		}
	}
	return len(messages), nil
}

// sync runs a session with these changes of the ordinary configuration.
func (a *appliance) sync(l *wire, change func(*resync.Config)) (resync.Summary, error) {
	a.t.Helper()
	cfg := resync.Config{Table: a.table, Sink: l, OpenTail: a.tail, To: standby}
	if change != nil {
		change(&cfg)
	}
	s, err := resync.New(cfg)
	if err != nil {
		a.t.Fatal(err)
	}
	return s.Run(context.Background())
}

// compare reports how the standby's dialogs differ from the appliance's in what an update takes over, or in everything.
func (a *appliance) compare(l *wire, want []dialog.Details, everything bool) {
	a.t.Helper()
	got := l.standby.Live()
	if !everything {
		for _, list := range [][]dialog.Details{got, want} {
			for i, d := range list {
				list[i] = dialog.Details{
					CallID: d.CallID, FromTag: d.FromTag, ToTag: d.ToTag, State: d.State, Timeout: d.Timeout,
					CallerCSeq: d.CallerCSeq, CalleeCSeq: d.CalleeCSeq, UserFlags: d.UserFlags, Flags: d.Flags,
				}
			}
		}
	}
	for i, difference := range bin1test.DiffDetails(got, want) {
		if i == 10 {
			a.t.Error("and more")
			break
		}
		a.t.Error(difference)
	}
	if f := l.standby.Faults(); f != (opensipstest.Faults{}) {
		a.t.Errorf("faults of the standby: %+v", f)
	}
}

func newProxy(seed uint64, calls int) *bin1test.Proxy {
	return bin1test.NewProxy(seed, bin1test.Realistic(time.Now().Unix(), calls))
}

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, n)) }
