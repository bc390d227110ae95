package egress_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"binrepd/userspace/changes"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestRefusedByARealHost sends through a real socket to a port that nobody listens on, beside one that somebody does.
func TestRefusedByARealHost(t *testing.T) {
	listener, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	// Connected elsewhere, it takes nothing from us, and nobody else can have its port meanwhile.
	elsewhere, err := net.Dial("udp4", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	closed := elsewhere.LocalAddr().String()

	sender, err := socket.NewSender(context.Background(), netip.MustParseAddrPort("127.0.0.1:0"), socket.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	e, err := egress.New(egress.Config{Sink: sender, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	for _, address := range []string{closed, listener.LocalAddr().String()} {
		if err := e.Add(egress.Destination{Address: address}); err != nil {
			t.Fatal(err)
		}
	}
	p := bin1test.NewProxy(1, bin1test.Realistic(time.Now().Unix(), 100))
	buf := make([]byte, 65535)
	for n, refused := 0, false; !refused || n < 20; n++ {
		if n == 10_000 {
			t.Fatalf("not refused after %d events: %+v", n, e.Status())
		}
		packet := p.Next(nil)
		e.Forward([]changes.Change{bin1test.Change(packet)})
		size, _, err := listener.ReadFrom(buf)
		if err != nil || string(buf[:size]) != string(packet) {
			t.Fatalf("the other received %d bytes of %d, %v", size, len(packet), err)
		}
		d := e.Status().Destinations[0]
		refused = d.State == egress.Refused && d.Refusals > 0 && d.Lost == 0
	}
	if d := e.Status().Destinations[1]; d.State != egress.Up || d.Errors != 0 || d.Lost != 0 {
		t.Errorf("the other: %+v", d)
	}
}
