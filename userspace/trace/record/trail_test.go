package record

import (
	"encoding/binary"
	"sync"
	"syscall"
	"testing"

	"binrepd/userspace/in/packets"
)

// way is a Trail in memory with room for a number of datagrams. Any more displace the oldest.
type way struct {
	mu      sync.Mutex
	room    int
	waiting []packets.Packet
	missed  uint64
	lent    int
	spoil   bool // makes the next Release report a loss
}

func (w *way) add(batch []packets.Packet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, batch...)
	if n := len(w.waiting) - w.room; n > 0 && w.lent == 0 {
		w.missed += uint64(n)
		w.waiting = w.waiting[n:]
	}
}

// left returns how many datagrams wait.
func (w *way) left() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting)
}

func (w *way) Room() int { return 1 << 20 }

func (w *way) spoilNext() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spoil = true
}

func (w *way) Receive(b *packets.Batch) (missed uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lent > 0 {
		panic("Receive before Release")
	}
	w.lent = min(cap(b.Packets), len(w.waiting))
	b.Packets = append(b.Packets[:0], w.waiting[:w.lent]...)
	missed, w.missed = w.missed, 0
	if w.spoil && w.lent > 0 {
		for i := range b.Packets {
			b.Packets[i].Payload = []byte("something else")
		}
	}
	return missed
}

func (w *way) Release(b *packets.Batch) (intact bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lent == 0 {
		panic("Release of nothing")
	}
	b.Packets = b.Packets[:0]
	intact, w.spoil = !w.spoil, false
	w.waiting, w.lent = w.waiting[w.lent:], 0
	return intact
}

func openTrails(t *testing.T, dir string, d *disk, ways ...*way) *Recorder {
	return open(t, dir, func(c *Config) {
		c.Taps, c.create, c.Limit = 0, d.create, 64<<20
		for _, w := range ways {
			c.Trails = append(c.Trails, w)
		}
	})
}

// TestTrails: the datagrams that two workers leave behind are in the files, complete and in order for each worker, over
// IPv4 and IPv6. Overwritten or missed ones are not there, and are counted.
func TestTrails(t *testing.T) {
	dir := t.TempDir()
	ways := [2]*way{{room: 1 << 20}, {room: 1 << 20}}
	r := openTrails(t, dir, &disk{}, ways[0], ways[1])
	const batches, size = 30, 70
	for i := range uint32(batches) {
		for j, w := range ways {
			batch := batchOf(i*size, size, 9000*int(i%10)/10+8)
			for k := range batch {
				batch[k].Intake = uint8(j)
				batch[k].Sender.Addr[0] = byte(0x20 * j)
			}
			w.add(batch)
		}
		if i == batches/2 {
			ways[1].spoilNext()
		}
	}
	closeRecorder(t, r)
	s := r.Status()
	if s.shown() != 2*batches*size || s.Dropped["slow_disk"] == 0 || s.Dropped["slow_disk"] > trailBatch {
		t.Errorf("%+v", s)
	}
	next := map[bool]uint32{}
	packets := readFiles(t, dir)
	for _, p := range packets {
		six := p.to == listen6
		number := binary.BigEndian.Uint32(p.payload)
		if number < next[six] || !six && number != next[six] || p.at.UnixNano() != int64(number) || len(p.payload) != 9000*int(number/size%10)/10+8 {
			t.Fatalf("number %d of %d bytes to %v after %d", number, len(p.payload), p.to, next[six])
		}
		next[six] = number + 1
	}
	if uint64(len(packets)) != s.Recorded {
		t.Errorf("%d packets, %+v", len(packets), s)
	}
}

// TestTrailsOnFailingDisk: while the disk returns errors, the encoded blocks wait, and nothing else does, since a trail
// must not fill up. Then the recording resumes.
func TestTrailsOnFailingDisk(t *testing.T) {
	dir := t.TempDir()
	d, w := &disk{err: syscall.ENOSPC}, &way{room: 500}
	r := openTrails(t, dir, d, w)
	w.add(batchOf(0, 400, 4000)) // more than is encoded at once
	await(t, "a second error", func() bool { return r.Status().Errors >= 2 })
	if n := w.left(); n > 0 {
		t.Errorf("%d wait in the trail", n)
	}
	w.add(batchOf(400, 1000, 400)) // the trail has no room for the first 500
	d.set(nil, nil)
	await(t, "the end", func() bool { return r.Status().shown() == 1400 })
	w.add(batchOf(1400, 100, 400))
	closeRecorder(t, r)
	s := r.Status()
	if s.shown() != 1500 || s.Dropped["disk_error"] == 0 || s.Dropped["slow_disk"]+s.Dropped["at_stop"] != 0 || s.Error != nil {
		t.Errorf("%+v", s)
	}
	packets := readFiles(t, dir)
	if uint64(len(packets)) != s.Recorded || binary.BigEndian.Uint32(packets[0].payload) != 0 ||
		binary.BigEndian.Uint32(packets[len(packets)-1].payload) != 1499 {
		t.Errorf("%d packets", len(packets))
	}
}

// TestTrailsStopWhileFailing: encoded blocks and unread datagrams of a trail are counted exactly once when they can't
// be written at the end.
func TestTrailsStopWhileFailing(t *testing.T) {
	d, w := &disk{err: syscall.EIO}, &way{room: 1000}
	r := openTrails(t, t.TempDir(), d, w)
	w.add(batchOf(0, 700, 4000))
	await(t, "an error", func() bool { return r.Status().Errors >= 1 && w.left() == 0 })
	w.add(batchOf(700, 1100, 40)) // 100 are missed
	closeRecorder(t, r)
	if s := r.Status(); s.Dropped["at_stop"] == 0 || s.Dropped["slow_disk"] != 0 || s.shown() != 1800 {
		t.Errorf("%+v", s)
	}
}

// TestTrailsKeepTheLimit: even with the largest datagrams, all files together stay within the limit, and each within
// its share.
func TestTrailsKeepTheLimit(t *testing.T) {
	dir, w := t.TempDir(), &way{room: 1 << 20}
	r := open(t, dir, func(c *Config) { c.Taps, c.Trails = 0, []Trail{w} })
	for i := range uint32(20) {
		w.add(batchOf(i*40, 40, 8690))
		await(t, "the writer", func() bool { return r.Status().shown() == uint64(i+1)*40 })
		files, err := Files(dir)
		if err != nil {
			t.Fatal(err)
		}
		sum := int64(0)
		for _, f := range files {
			if sum += f.Size; f.Size > LeastLimit/filesPerLimit {
				t.Fatalf("a file of %d bytes", f.Size)
			}
		}
		if sum > LeastLimit {
			t.Fatalf("%d bytes in %d files", sum, len(files))
		}
	}
}
