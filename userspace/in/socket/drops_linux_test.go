//go:build !portable

package socket

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"binrepd/userspace/in/packets"
)

func TestEveryDatagramIsReceivedOrDropped(t *testing.T) {
	s := listen(t, loopback4, Config{ReceiveBuffer: 64 << 10})
	from := newSender(t, loopback4, Config{})
	const n = 3000
	for i := range n {
		send(t, from, endpoint(s), packet("call", i))
	}
	if st := s.Stats(); st.Dropped == 0 || st.Waiting == 0 {
		t.Fatalf("dropped %d and %d bytes wait before the first Receive: the counts are not right at rest", st.Dropped, st.Waiting)
	}
	guard := time.AfterFunc(patience, s.Stop)
	defer guard.Stop()
	b := packets.NewBatch(64)
	last := -1
	for st := s.Stats(); st.Received+st.Dropped < n; st = s.Stats() {
		if err := s.Receive(b); err != nil {
			t.Fatalf("received %d, dropped %d of %d: %v", st.Received, st.Dropped, n, err)
		}
		for _, d := range b.Packets {
			if number(d.Payload) <= last {
				t.Fatalf("datagram %d came behind %d", number(d.Payload), last)
			}
			last = number(d.Payload)
		}
		s.Release(b)
	}
	if st := s.Stats(); st.Received+st.Dropped != n || st.Received == 0 || st.Waiting != 0 {
		t.Errorf("received %d + dropped %d, sent %d; %d bytes wait", st.Received, st.Dropped, n, st.Waiting)
	}
}

func TestWhatComesAfterStopIsNoLoss(t *testing.T) {
	s := listen(t, loopback4, Config{})
	from := newSender(t, loopback4, Config{})
	send(t, from, endpoint(s), packet("early", 0))
	s.Stop()
	for i := range 100 {
		send(t, from, endpoint(s), packet("late", i))
	}
	b := packets.NewBatch(64)
	if err := s.Receive(b); err != nil || len(b.Packets) != 1 {
		t.Fatalf("%d datagrams, %v, want the one from before Stop", len(b.Packets), err)
	}
	if err := s.Receive(b); err == nil {
		t.Fatalf("%d datagrams from after Stop", len(b.Packets))
	}
	if st := s.Stats(); st.Received != 1 || st.Dropped != 0 {
		t.Errorf("received %d, dropped %d, want 1 and 0", st.Received, st.Dropped)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Received != 1 || st.Dropped != 0 || st.Waiting != 0 {
		t.Errorf("after Close: received %d, dropped %d, waiting %d", st.Received, st.Dropped, st.Waiting)
	}
}

func TestDropCountWraps(t *testing.T) {
	var k kernelCounts
	for _, step := range []struct {
		drops uint32
		total uint64
	}{{5, 5}, {0xffffffff, 0xffffffff}, {0, 1 << 32}, {7, 1<<32 + 7}, {7, 1<<32 + 7}} {
		if k.advanceLocked(step.drops); k.total != step.total {
			t.Errorf("at %d the total is %d, want %d", step.drops, k.total, step.total)
		}
	}
	k.frozen = true
	if k.advanceLocked(9); k.total != 1<<32+7 {
		t.Errorf("frozen total moved to %d", k.total)
	}
}

func TestReceiveBuffer(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		t.Skip("no /proc/sys/net/core/rmem_max, so nothing to compare with: ", err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with its reduced capabilities
		if privileged := dropNetAdmin(t); privileged {
			t.Log("with CAP_NET_ADMIN dropped")
		}
		s, err := Listen(t.Context(), loopback4, Config{ReceiveBuffer: limit + 1<<20})
		if err != nil {
			t.Error(err)
			return
		}
		defer s.Close()
		if bytes, clipped := s.ReceiveBuffer(); bytes != limit || !clipped {
			t.Errorf("granted %d, clipped %v; want the limit of %d, clipped", bytes, clipped, limit)
		}
	}()
	<-done
	s := listen(t, loopback4, Config{ReceiveBuffer: limit / 2})
	if bytes, clipped := s.ReceiveBuffer(); bytes != limit/2 || clipped {
		t.Errorf("granted %d, clipped %v; want %d as asked", bytes, clipped, limit/2)
	}
	if os.Geteuid() == 0 {
		s := listen(t, loopback4, Config{ReceiveBuffer: 2 * limit})
		if bytes, clipped := s.ReceiveBuffer(); bytes != 2*limit || clipped {
			t.Errorf("granted %d, clipped %v to the superuser; want %d as asked", bytes, clipped, 2*limit)
		}
	}
}

// dropNetAdmin takes CAP_NET_ADMIN from this thread and tells whether it was there.
func dropNetAdmin(t *testing.T) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Error("capget:", err)
		return false
	}
	const bit = 1 << unix.CAP_NET_ADMIN
	had := data[0].Effective&bit != 0
	data[0].Effective &^= bit
	if err := unix.Capset(&header, &data[0]); err != nil {
		t.Error("capset:", err)
	}
	return had
}
