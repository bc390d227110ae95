package bench

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

// naive is the receiver that one writes without thinking about speed: one datagram a call, a map, a lock.
type naive struct {
	conn *net.UDPConn

	mu      sync.Mutex
	dialogs map[string]*dialog.Details
}

// receive takes n datagrams, which must be there or come.
func (v *naive) receive(n int) error {
	buf := make([]byte, 65535)
	for range n {
		size, _, err := v.conn.ReadFromUDP(buf)
		if err != nil {
			return err
		}
		if err := v.apply(buf[:size]); err != nil {
			return err
		}
	}
	return nil
}

func (v *naive) apply(packet []byte) error {
	var ev dialog.Event
	if verdict := bin1.Decode(packet, &ev); verdict != bin1.Dialog {
		return fmt.Errorf("naive receiver: %v", verdict)
	}
	key := string(ev.Key)
	if ev.Kind == dialog.Delete {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.dialogs[key] == nil {
			return errors.New("naive receiver: a deletion of nothing")
		}
		delete(v.dialogs, key)
		return nil
	}
	d := ev.Body.Details()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dialogs[key] = &d
	return nil
}

// lap receives n datagrams and measures it. The garbage collector, which the naive receiver keeps busy, counts as well.
func (v *naive) lap(n int) (lap, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w := startWatch(processClock)
	err := v.receive(n)
	return w.stop(n), err
}
