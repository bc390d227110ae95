package replay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/trace/capture"
	"binrepd/userspace/wire/bin1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink records what is sent, and when.
type sink struct {
	mu       sync.Mutex
	sent     [][]byte
	at       []time.Time
	to       packets.Endpoint
	err      error
	sentHook func()
}

func (s *sink) Send(m []packets.Message) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	for _, m := range m {
		s.sent = append(s.sent, bytes.Clone(m.Payload))
		s.at = append(s.at, time.Now())
		s.to = m.To
	}
	if s.sentHook != nil {
		s.sentHook()
	}
	return len(m), nil
}

var to = packets.EndpointOf(netip.MustParseAddrPort("192.0.2.9:5556"))

func listOf(list []capture.Datagram) func(*capture.Datagram) error {
	return func(d *capture.Datagram) error {
		if len(list) == 0 {
			return io.EOF
		}
		*d, list = list[0], list[1:]
		return nil
	}
}

// recorded returns n datagrams with this pause between them.
func recorded(n int, pause time.Duration) (list []capture.Datagram) {
	for i := range n {
		list = append(list, capture.Datagram{Time: time.Unix(1_700_000_000, 0).Add(time.Duration(i) * pause), Payload: []byte{byte(i)}})
	}
	return list
}

// TestPauses: with any speed, nothing is sent too early.
func TestPauses(t *testing.T) {
	const n, pause, speed = 10, 200 * time.Millisecond, 20
	s := &sink{}
	begin := time.Now()
	sum, err := Run(context.Background(), Config{Next: listOf(recorded(n, pause)), Sink: s, To: to, Speed: speed})
	if err != nil || sum.Sent != n || sum.Bytes != n || sum.Recorded != (n-1)*pause || s.to != to {
		t.Fatalf("%+v %v", sum, err)
	}
	for i, at := range s.at {
		if early := begin.Add(time.Duration(i) * pause / speed).Sub(at); early > 0 || s.sent[i][0] != byte(i) {
			t.Errorf("datagram %d: number %d, %v too early", i, s.sent[i][0], early)
		}
	}
}

// TestWithoutPauses: at speed 0 a recording of years takes no time, and times that go backwards do no harm.
func TestWithoutPauses(t *testing.T) {
	list := recorded(1000, 1000*time.Hour)
	list[7].Time = time.Time{}
	s := &sink{}
	sum, err := Run(context.Background(), Config{Next: listOf(list), Sink: s, To: to})
	if err != nil || sum.Sent != 1000 || len(s.sent) != 1000 {
		t.Fatalf("%+v %v", sum, err)
	}
}

// TestStop stops in the middle of a pause of years.
func TestStop(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sink{sentHook: cancel}
	sum, err := Run(ctx, Config{Next: listOf(recorded(3, 10_000*time.Hour)), Sink: s, To: to, Speed: 1})
	if !errors.Is(err, context.Canceled) || sum.Sent != 1 {
		t.Errorf("%+v %v", sum, err)
	}
}

func TestWant(t *testing.T) {
	s := &sink{}
	want := func(d *capture.Datagram) bool { return d.Payload[0]%3 == 0 }
	sum, err := Run(context.Background(), Config{Next: listOf(recorded(9, time.Hour)), Sink: s, To: to, Want: want})
	if err != nil || sum.Sent != 3 || sum.Left != 6 {
		t.Errorf("%+v %v", sum, err)
	}
}

// TestTrouble: nothing listens, there is no route, the file is broken.
func TestTrouble(t *testing.T) {
	if _, err := Run(context.Background(), Config{
		Next: listOf(recorded(3, 0)), Sink: &sink{}, To: to, Refused: func() bool { return true },
	}); !errors.Is(err, ErrNobodyAnswers) {
		t.Errorf("nothing listens: %v", err)
	}
	broken := errors.New("no way there")
	if sum, err := Run(context.Background(), Config{Next: listOf(recorded(3, 0)), Sink: &sink{err: broken}, To: to}); !errors.Is(err, broken) || sum.Sent != 0 {
		t.Errorf("no way: %+v %v", sum, err)
	}
	n := 0
	s := &sink{}
	sum, err := Run(context.Background(), Config{Sink: s, To: to, Next: func(d *capture.Datagram) error {
		if n++; n > 5 {
			return broken
		}
		*d = capture.Datagram{Payload: []byte{1}}
		return nil
	}})
	if !errors.Is(err, broken) || sum.Sent != 5 {
		t.Errorf("broken file: %+v %v", sum, err)
	}
}

// full is a sink whose queue is sometimes full.
type full struct {
	sink
	take []int // for each call: the maximum that it takes; none after that
	err  error
}

func (f *full) Send(m []packets.Message) (int, error) {
	n := 0
	if len(f.take) > 0 {
		n, f.take = min(f.take[0], len(m)), f.take[1:]
	}
	_, _ = f.sink.Send(m[:n])
	if n < len(m) {
		return n, f.err
	}
	return n, nil
}

// TestFullQueue: datagrams that the host has no room for are sent later, in order. If there is no room for long, that
// is an error. So is a datagram that can never be sent.
func TestFullQueue(t *testing.T) {
	for name, tc := range map[string]struct {
		take         []int
		err          error
		sent, failed uint64
		least, most  time.Duration // allowed duration
	}{
		"for a moment": {[]int{2, 0, 0, 0, 1, 0, 9}, packets.ErrFull, 5, 0, 8 * time.Millisecond, 8 * time.Millisecond},
		"for ever":     {[]int{2}, packets.ErrFull, 2, 3, patience, 2 * patience},
		"too long":     {[]int{2, 0, 9}, errors.New("too long"), 4, 1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &full{take: tc.take, err: tc.err}
				sum, err := Run(t.Context(), Config{Next: listOf(recorded(5, 0)), Sink: s, To: to})
				if sum.Sent != tc.sent || sum.Failed != tc.failed || sum.Took < tc.least || sum.Took > tc.most {
					t.Errorf("%+v", sum)
				}
				if (tc.failed > 0) != errors.Is(err, tc.err) || (tc.failed == 0) != (err == nil) {
					t.Errorf("error %v", err)
				}
				if len(s.sent) != int(tc.sent) || s.sent[0][0] != 0 || s.sent[1][0] != 1 {
					t.Errorf("%v", s.sent)
				}
			})
		})
	}
}

// TestShift: the times of good snapshots move by the same number of seconds, with a correct checksum. Everything else
// stays unchanged.
func TestShift(t *testing.T) {
	d := dialog.Details{CallID: "call", FromTag: "f", ToTag: "t", State: dialog.Confirmed, Start: 1_700_000_000, Timeout: 1_700_003_600, Vars: "a#b|"}
	early := d
	early.State, early.ToTag, early.Start = dialog.Early, "", 0
	bad := bin1.Append(nil, dialog.Update, d.AppendPacked(nil))
	bad[4] ^= 1
	packets := [][]byte{
		bin1.Append(nil, dialog.Create, early.AppendPacked(nil)), bin1.Append(nil, dialog.Update, d.AppendPacked(nil)),
		bin1.Append(nil, dialog.Delete, d.AppendKey(nil)), bad, []byte("no packet"),
	}
	list := recorded(len(packets), time.Minute)
	for i := range list {
		list[i].Payload = packets[i]
	}
	s := &sink{}
	sum, err := Run(context.Background(), Config{Next: listOf(list), Sink: s, To: to, Shift: true})
	if err != nil || sum.Shifted != 2 || sum.Sent != 5 {
		t.Fatalf("%+v %v", sum, err)
	}
	moved := uint32(sum.Moved / time.Second)
	if age := uint32(time.Now().Unix() - 1_700_000_000); moved > age || moved+60 < age {
		t.Errorf("moved by %d s, the recording is %d s old", moved, age)
	}
	d.Start, d.Timeout, early.Timeout = d.Start+moved, d.Timeout+moved, early.Timeout+moved
	packets[0] = bin1.Append(nil, dialog.Create, early.AppendPacked(nil))
	packets[1] = bin1.Append(nil, dialog.Update, d.AppendPacked(nil))
	for i := range packets {
		if !bytes.Equal(s.sent[i], packets[i]) {
			t.Errorf("packet %d: %q, want %q", i, s.sent[i], packets[i])
		}
	}
	for _, tc := range []struct {
		unix    uint32
		seconds int64
		want    uint32
	}{{0, 5, 0}, {10, -20, 1}, {1 << 31, 1 << 33, 1<<32 - 1}} {
		if got := later(tc.unix, tc.seconds); got != tc.want {
			t.Errorf("later(%d, %d) = %d", tc.unix, tc.seconds, got)
		}
	}
}
