package savefile_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// long reports whether the long form of tests was asked for, as make chaos does.
func long() bool { return os.Getenv("BINREPD_CHAOS") == "1" }

// appliance is a table that is fed as an engine feeds it.
type appliance struct {
	t     testing.TB
	table *dialog.Table
}

func newAppliance(t testing.TB) *appliance {
	t.Helper()
	table, err := dialog.NewTable(dialog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	return &appliance{t: t, table: table}
}

// take applies a packet from source 1 that comes now.
func (a *appliance) take(packet []byte) { a.takeAt(packet, 1, time.Now().Unix()) }

func (a *appliance) takeAt(packet []byte, origin uint16, now int64) {
	a.t.Helper()
	var ev dialog.Event
	if v := bin1.Decode(packet, &ev); v != bin1.Dialog {
		a.t.Fatalf("a packet that is %v", v)
	}
	ev.Hash, ev.Origin = packets.Steering{}.Hash(packet, packets.Endpoint{}), origin
	s := a.table.Lock(a.table.ShardOf(ev.Hash))
	defer s.Unlock()
	s.Apply([]*dialog.Event{&ev}, now)
}

func (a *appliance) takeDetails(kind dialog.Kind, d dialog.Details) { a.take(packetOf(kind, d)) }

func packetOf(kind dialog.Kind, d dialog.Details) []byte {
	if kind == dialog.Delete {
		return bin1.Append(nil, kind, d.AppendKey(nil))
	}
	return bin1.Append(nil, kind, d.AppendPacked(nil))
}

// fill puts n live dialogs of a proxy into the table.
func (a *appliance) fill(p *bin1test.Proxy, n int) {
	for buf := []byte(nil); p.LiveCount() < n; {
		buf = p.Next(buf[:0])
		a.take(buf)
	}
}

// call returns the n-th of many dialogs.
func call(n int) dialog.Details {
	return dialog.Details{
		CallID: fmt.Sprint(n, "@example.org"), FromTag: "f", ToTag: "t", FromURI: "sip:a@b", ToURI: "sip:c@d",
		Start: uint32(time.Now().Unix()), State: dialog.Confirmed, CallerCSeq: "0", CalleeCSeq: "1",
		CallerSocket: "udp:10.0.0.2:5060", CalleeSocket: "udp:10.0.0.2:5060", CallerContact: "sip:a@x", CalleeContact: "sip:c@y",
		Vars: "v#1|", Profiles: "p#|", Timeout: uint32(time.Now().Unix()) + 3600,
	}
}

func newProxy(seed uint64, calls int) *bin1test.Proxy {
	return bin1test.NewProxy(seed, bin1test.Realistic(time.Now().Unix(), calls))
}
