package record

import (
	"os"
	"sync"

	"binrepd/userspace/in/packets"
)

// disk is a disk with faults.
type disk struct {
	mu   sync.Mutex
	err  error         // for every Write, which then has written half; nil: none
	gate chan struct{} // Write waits for it; nil: no wait
}

func (d *disk) set(err error, gate chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err, d.gate = err, gate
}

func (d *disk) create(path string) (file, error) {
	f, err := createFile(path)
	if err != nil {
		return nil, err
	}
	return &faulty{File: f.(*os.File), disk: d}, nil
}

// faulty is a file on a faulty disk.
type faulty struct {
	*os.File
	disk *disk
}

func (f *faulty) Write(b []byte) (int, error) {
	f.disk.mu.Lock()
	err, gate := f.disk.err, f.disk.gate
	f.disk.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if err != nil {
		n, _ := f.File.Write(b[:len(b)/2])
		return n, &os.PathError{Op: "write", Path: f.Name(), Err: err}
	}
	return f.File.Write(b)
}

// busyFile is a file that gets more data at every write. It stays empty.
type busyFile struct {
	file
	more func()
}

func (f *busyFile) Write(b []byte) (int, error) {
	f.more()
	return len(b), nil
}

// batchOf returns a batch of n datagrams of this size. Each starts with its number, counted from first.
func batchOf(first uint32, n, size int) []packets.Packet {
	batch := make([]packets.Packet, n)
	for i := range batch {
		p := make([]byte, size)
		number := first + uint32(i)
		p[0], p[1], p[2], p[3] = byte(number>>24), byte(number>>16), byte(number>>8), byte(number)
		batch[i] = datagram4(p, int64(number))
	}
	return batch
}
