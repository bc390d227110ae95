package resync

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/time/rate"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
)

// LoadConfig says what to load, and into what. Table, Path and Steering are required.
type LoadConfig struct {
	Table *dialog.Table
	Path  string
	// Steering is the one by which the engine's shards are chosen.
	Steering packets.Steering
	// Origin numbers a source, that of a live dialog or of another; nil: origins are lost.
	Origin func(ep packets.Endpoint, live bool) uint16
	// Outlet is handed what changed the table, as if it had been received; nil: nothing is passed on.
	Outlet changes.Outlet
	// Rate is the most records a second, for the sake of those that Outlet passes them on to; 0 means no limit.
	Rate int
}

// LoadSummary tells what was loaded.
type LoadSummary struct {
	Header
	// Outcomes of the records, as the table's rules had them: an empty table takes all, one that knows newer things
	// keeps those.
	Outcomes [dialog.Outcomes]uint64
	// Expired records were passed over, because their dialogs' time, with the usual grace, was over.
	Expired  uint64
	Duration time.Duration
}

// Changed returns the number of records that changed the table.
func (s *LoadSummary) Changed() (n uint64) {
	for o, c := range s.Outcomes {
		if dialog.Outcome(o).Changed() {
			n += c
		}
	}
	return n
}

// Load reads the file twice: first to verify every byte of it, and then to apply its records to the table. With a
// *DamageError or ErrFormat the table is unchanged. If ctx ends, a part has been applied.
func Load(ctx context.Context, cfg LoadConfig) (s LoadSummary, err error) {
	begin := time.Now()
	f, err := openRegular(cfg.Path)
	if err != nil {
		return s, fmt.Errorf("load: %w", err)
	}
	defer f.Close()
	first, err := readFile(ctx, f, cfg.Path, func([]byte) error { return nil })
	if err != nil {
		return s, err
	}
	l := loader{cfg: &cfg, shards: make([][]int32, cfg.Table.Shards())}
	if cfg.Rate > 0 {
		l.limiter = rate.NewLimiter(rate.Limit(cfg.Rate), max(cfg.Rate/200, 1))
	}
	second, err := readFile(ctx, f, cfg.Path, func(records []byte) error { return l.apply(ctx, records) })
	if err == nil && second != first {
		err = errors.New("it was changed")
	}
	l.summary.Header, l.summary.Duration = first, time.Since(begin)
	if err != nil {
		return l.summary, fmt.Errorf("load %s, while it was being applied: %w", cfg.Path, err)
	}
	return l.summary, nil
}

// Verify reads the file and tells what its header says, or why it can't be loaded.
func Verify(ctx context.Context, path string) (Header, error) {
	f, err := openRegular(path)
	if err != nil {
		return Header{}, fmt.Errorf("verify: %w", err)
	}
	defer f.Close()
	return readFile(ctx, f, path, func([]byte) error { return nil })
}

// ReadHeader reads what the header of a file says, and looks at nothing behind it.
func ReadHeader(path string) (Header, error) {
	f, err := openRegular(path)
	if err != nil {
		return Header{}, fmt.Errorf("read header: %w", err)
	}
	defer f.Close()
	head := make([]byte, headerSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Header{}, fmt.Errorf("read %s: %w", path, err)
	}
	h, _, _, err := parseHeader(path, head[:n])
	return h, err
}

// readFile verifies the file block by block, calling use for the records of each.
func readFile(ctx context.Context, f *os.File, path string, use func(records []byte) error) (h Header, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return h, err
	}
	in := bufio.NewReaderSize(f, 1<<16)
	head := make([]byte, headerSize)
	n, err := io.ReadFull(in, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return h, fmt.Errorf("read %s: %w", path, err)
	}
	h, last, sum, err := parseHeader(path, head[:n])
	if err != nil {
		return h, err
	}
	info, err := f.Stat()
	if err != nil {
		return h, err
	}
	if size := info.Size(); size != h.Size {
		reason := fmt.Sprintf("it has %d bytes, and should have %d", size, h.Size)
		if size < h.Size {
			reason = "it is cut off: " + reason
		}
		return h, &DamageError{path, min(size, h.Size), reason}
	}
	records := uint64(0)
	block := make([]byte, 0, maxBlock)
	for at := int64(headerSize); at < h.Size; {
		if err := ctx.Err(); err != nil {
			return h, err
		}
		if block, err = readBlock(in, block, h.Size-at, &sum); err != nil {
			return h, damage(path, at, err)
		}
		data := block[blockHeader:]
		count, offset, err := checkRecords(data)
		if err == nil && count != binary.LittleEndian.Uint32(block[4:]) {
			err = errors.New("the number of records is wrong")
		}
		if err != nil {
			return h, damage(path, at+blockHeader+int64(offset), err)
		}
		records += uint64(count)
		at += int64(len(block))
		if err := use(data); err != nil {
			return h, err
		}
	}
	if records != h.Records || sum != last {
		return h, &DamageError{path, h.Size, fmt.Sprintf("it has %d records, and should have %d; or blocks are missing", records, h.Records)}
	}
	return h, nil
}

// damage makes a DamageError of what is wrong with the content, and leaves errors of reading what they are.
func damage(path string, at int64, err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return &DamageError{path, at, err.Error()}
}

// readBlock reads the next block, of which at most rest bytes are left in the file, into the memory of block.
func readBlock(in io.Reader, block []byte, rest int64, sum *uint32) ([]byte, error) {
	block = block[:blockHeader]
	if _, err := io.ReadFull(in, block); err != nil {
		return block, err
	}
	size := int64(binary.LittleEndian.Uint32(block))
	if size == 0 || size > maxBlock-blockHeader || size > rest-blockHeader {
		return block, errors.New("the length of the block is wrong")
	}
	block = block[:blockHeader+size]
	if _, err := io.ReadFull(in, block[blockHeader:]); err != nil {
		return block, err
	}
	*sum = blockSum(*sum, block[:8], block[blockHeader:])
	if *sum != binary.LittleEndian.Uint32(block[8:]) {
		return block, errors.New("the checksum of the block is wrong")
	}
	return block, nil
}

// checkRecords counts the records of a block. With an error, offset tells where in it.
func checkRecords(data []byte) (count uint32, offset int, err error) {
	for rest := data; len(rest) > 0; count++ {
		offset = len(data) - len(rest)
		r, next, ok := cutRecord(rest)
		if !ok {
			return count, offset, errors.New("a record reaches past its block")
		}
		var ev dialog.Event
		if v := bin1.Decode(r.packet, &ev); v != bin1.Dialog {
			return count, offset, fmt.Errorf("a packet can't be read: %v", v)
		}
		if ev.Kind == dialog.Update || ev.State == dialog.Ended {
			return count, offset, errors.New("a packet is neither a creation nor a deletion")
		}
		rest = next
	}
	return count, 0, nil
}

// loader applies records.
type loader struct {
	cfg     *LoadConfig
	limiter *rate.Limiter
	summary LoadSummary
	shards  [][]int32 // by shard: which of the records below belong to it

	events    []dialog.Event
	updated   []uint32
	datagrams []packets.Packet
	event     [1]*dialog.Event
	change    [1]changes.Change
}

// maxTogether bounds the records applied under one lock.
const maxTogether = 128

// apply applies the records of a block, shard by shard. Those of one call are in one shard and stay in order.
func (l *loader) apply(ctx context.Context, data []byte) error {
	l.read(data)
	for shard, list := range l.shards {
		for len(list) > 0 {
			n := min(len(list), maxTogether)
			if l.limiter != nil {
				n = min(n, l.limiter.Burst())
				if err := l.limiter.WaitN(ctx, n); err != nil {
					return err
				}
			}
			l.applyTo(shard, list[:n])
			list = list[n:]
		}
		l.shards[shard] = l.shards[shard][:0]
	}
	return ctx.Err()
}

// read decodes the records and sorts them by shard.
func (l *loader) read(data []byte) {
	now := uint32(time.Now().Unix())
	grace := l.cfg.Table.ExpiryGrace()
	l.events, l.updated, l.datagrams = l.events[:0], l.updated[:0], l.datagrams[:0]
	for len(data) > 0 {
		var r saved
		r, data, _ = cutRecord(data)
		var ev dialog.Event
		bin1.Decode(r.packet, &ev)
		if ev.State.Live() && uint64(ev.Timeout)+uint64(grace) <= uint64(now) {
			l.summary.Expired++
			continue
		}
		if ev.Kind == dialog.Delete && r.start != 0 {
			// An end that knows when its call began: to the table that is a snapshot in state 5.
			ev.Kind, ev.State, ev.Start = dialog.Update, dialog.Ended, r.start
		}
		if l.cfg.Origin != nil && r.origin.Port != 0 {
			ev.Origin = l.cfg.Origin(r.origin, ev.State.Live())
		}
		ev.Hash = l.cfg.Steering.Hash(r.packet, packets.Endpoint{})
		shard := l.cfg.Table.ShardOf(ev.Hash)
		l.shards[shard] = append(l.shards[shard], int32(len(l.events)))
		l.events = append(l.events, ev)
		l.updated = append(l.updated, min(r.updated, now)) // the clock may have been set back
		l.datagrams = append(l.datagrams, packets.Packet{Payload: r.packet, Hash: ev.Hash})
	}
}

// applyTo applies records to one shard, each as of its own time, so that what is kept for a while is kept no longer than it
// would have been.
func (l *loader) applyTo(shard int, list []int32) {
	s := l.cfg.Table.Lock(shard)
	defer s.Unlock()
	for _, i := range list {
		ev := &l.events[i]
		l.event[0] = ev
		s.Apply(l.event[:], int64(l.updated[i]))
		l.summary.Outcomes[ev.Outcome]++
		if l.cfg.Outlet == nil || !ev.Outcome.Changed() {
			continue
		}
		if ev.State == dialog.Ended { // the packet is a deletion
			ev.Kind, ev.State, ev.Start = dialog.Delete, 0, 0
		}
		bin1.Describe(&l.change[0], l.datagrams[i].Payload, ev)
		l.change[0].Source = ev.Origin
		l.cfg.Outlet.Forward(l.change[:])
	}
}
