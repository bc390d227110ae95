package appliance

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/engine"
)

// broken is a source that fails at its first use.
type broken struct{ err error }

func (b broken) Receive(*packets.Batch) error { return b.err }
func (broken) Release(*packets.Batch)         {}
func (broken) Stop()                          {}
func (broken) Close() error                   { return nil }

// TestRingFailsWhileInheritedIsLeft: a ring that fails leaves what it inherited unread for ever. The sockets that wait for
// that are woken by Stop, so that Run returns (fault 16).
func TestRingFailsWhileInheritedIsLeft(t *testing.T) {
	table, err := dialog.NewTable(dialog.Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	e, err := engine.New(engine.Config{Table: table, Intakes: packets.Listeners([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5556")})})
	if err != nil {
		t.Fatal(err)
	}
	never := make(chan struct{})
	cause := errors.New("epoll: broken")
	done := make(chan error, 1)
	go func() {
		done <- e.Run(context.Background(), []engine.Input{
			{Source: broken{cause}, Name: "ring 0"},
			{Source: &after{Source: broken{net.ErrClosed}, first: never}, Name: "socket"},
		})
	}()
	select {
	case err := <-done:
		if !errors.Is(err, cause) {
			t.Errorf("error %v, want %v", err, cause)
		}
	case <-time.After(time.Minute):
		t.Fatal("Run doesn't return")
	}
}
