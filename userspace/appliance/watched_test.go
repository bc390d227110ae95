package appliance

import (
	"context"
	"net/netip"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/state/engine"
)

// TestParts: an appliance of parts from elsewhere has everything that the metrics address looks at.
func TestParts(t *testing.T) {
	table, err := dialog.NewTable(dialog.Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	local := netip.MustParseAddrPort("127.0.0.1:0")
	s, err := socket.Listen(t.Context(), local, socket.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := engine.New(engine.Config{Table: table, Intakes: packets.Listeners([]netip.AddrPort{local})})
	if err != nil {
		t.Fatal(err)
	}
	out, err := egress.New(egress.Config{Sink: s})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close(context.Background())
	a := (&Parts{Table: table, Engine: e, Socket: s, Listen: local, Egress: out}).appliance()
	if status, consumers := a.look(); len(status.Listeners) != 1 || len(consumers) == 0 || consumers[0].Name != "socket "+local.String() {
		t.Errorf("%+v, %+v", status.Listeners, consumers)
	}
}
