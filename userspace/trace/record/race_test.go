package record

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
)

// TestTapsUnderLoad runs two workers and the writer at once. Even if some datagrams are dropped, each worker's
// datagrams must be in the files unchanged, in order, and as many as counted.
func TestTapsUnderLoad(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, func(c *Config) { c.Limit = 64 << 20 })
	var wg sync.WaitGroup
	const batches = 400
	for tap := range 2 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(tap)))
			for i := range uint32(batches) {
				batch := batchOf(i*20, 20, 8+random.IntN(900))
				for j := range batch {
					batch[j].Intake = uint8(tap)
					if tap == 1 {
						batch[j].Sender.Addr[0] = 0x20
					}
				}
				r.Tap(tap).Record(batch)
			}
		})
	}
	wg.Wait()
	closeRecorder(t, r)
	s := r.Status()
	last := map[bool]int64{true: -1, false: -1}
	packets := readFiles(t, dir)
	for _, p := range packets {
		number := int64(binary.BigEndian.Uint32(p.payload))
		six := p.to == listen6
		if number <= last[six] || p.at.UnixNano() != number {
			t.Fatalf("number %d after %d, at %d", number, last[six], p.at.UnixNano())
		}
		last[six] = number
	}
	if s.shown() != 2*batches*20 || s.Recorded != uint64(len(packets)) || s.Recorded == 0 {
		t.Errorf("%d packets, %+v", len(packets), s)
	}
}
