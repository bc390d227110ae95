package stream

import (
	"bytes"
	"sync"
	"testing"
)

// tape is a Recording that keeps everything.
type tape struct {
	mu    sync.Mutex
	bytes []byte
	ended int
}

func (r *tape) Record(packets []byte, _ int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes = append(r.bytes, packets...)
}

func (r *tape) End(int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended++
}

func (r *tape) state() ([]byte, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.bytes), r.ended
}

// TestRecording: all bytes of a connection are shown to its recording once, whatever becomes of them: delivered,
// consumed, rejected, dropped, or no packet at all.
func TestRecording(t *testing.T) {
	verdicts := []Verdict{Deliver, Consume, Reject}
	w := &watcher{onPacket: func(_ *Conn, p []byte) Verdict {
		n, _ := number(p)
		return verdicts[n%uint64(len(verdicts))]
	}}
	r := &tape{}
	s := open(t, Config{Handler: w, Record: func(*Conn) Recording { return r }})
	peer := connect(t, listen(t, s, "bin"))
	var sent []byte
	for i := range 100 {
		p := packet(uint64(i), smallest+37*i)
		sent = append(sent, p...)
		if i%7 == 0 { // a packet in two parts
			write(peer, p[:9])
			p = p[9:]
		}
		write(peer, p)
	}
	sent = append(sent, "no packet"...)
	write(peer, []byte("no packet"))
	reason(t, s, WrongMarker, 1)
	await(t, "the end", func() bool { _, ended := r.state(); return ended == 1 })
	if got, _ := r.state(); !bytes.Equal(got, sent) {
		t.Errorf("%d bytes are recorded, want %d", len(got), len(sent))
	}
}
