package resync

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
)

// SaveConfig says what to save, and where. Table and Path are required.
type SaveConfig struct {
	Table *dialog.Table
	Path  string
	// Everything saves calls being set up and the ends that are remembered, too, so that loading restores the table as it was;
	// otherwise it is the live dialogs.
	Everything bool
	// Origin names the source behind an origin number; nil: sources are not saved.
	Origin func(number uint16) netip.AddrPort
	// Created is when the save begins, for whoever has to know before; zero: now.
	Created time.Time
}

// SaveSummary tells what was saved.
type SaveSummary struct {
	Created               time.Time // as the file's header has it
	Dialogs, Early, Ended uint64
	Bytes                 int64 // of the file
	Duration              time.Duration
}

// Save writes the table to a new file, which takes the place of the one at Path only when all of it is on the disk. Shards are
// locked one at a time, for copying a few hundred entries.
func Save(ctx context.Context, cfg SaveConfig) (s SaveSummary, err error) {
	begin := time.Now()
	if cfg.Created.IsZero() {
		cfg.Created = begin
	}
	if err := replaceable(cfg.Path); err != nil {
		return s, fmt.Errorf("save: %w", err)
	}
	dir := filepath.Dir(cfg.Path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(cfg.Path)+".*.tmp") // for the owner only: who calls whom is nobody's business
	if err != nil {
		return s, fmt.Errorf("save: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("save %s: %w", cfg.Path, err)
		}
	}()
	w := saver{cfg: &cfg, file: f, header: Header{Created: cfg.Created}}
	if err := w.write(ctx); err != nil {
		return s, err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return s, err
	}
	if err := os.Rename(f.Name(), cfg.Path); err != nil {
		return s, err
	}
	if err := syncDirectory(dir); err != nil {
		return s, err
	}
	w.summary.Created, w.summary.Bytes, w.summary.Duration = cfg.Created, w.header.Size, time.Since(begin)
	return w.summary, nil
}

// replaceable refuses a path at which there is anything but an earlier save: the appliance may be allowed more than who asks it.
func replaceable(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		begin := make([]byte, len(magic))
		if _, err := io.ReadFull(f, begin); err == nil && string(begin) == magic {
			return nil
		}
	}
	return fmt.Errorf("%s is there and is no saved state: remove it or choose another name", path)
}

// openRegular opens a file for reading and refuses what might block, such as a pipe.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no ordinary file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// syncDirectory makes a renaming last.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// saver writes one file.
type saver struct {
	cfg     *SaveConfig
	file    *os.File
	header  Header
	summary SaveSummary
	sum     uint32 // of the last block
	block   []byte // with room for its header in front
	records uint32 // in it
	chunk   chunk
}

func (w *saver) write(ctx context.Context) error {
	w.sum = crc32.Checksum(w.header.appendSeed(nil), castagnoli())
	w.header.Size = headerSize
	if _, err := w.file.Write(make([]byte, headerSize)); err != nil {
		return err
	}
	w.block = make([]byte, blockHeader, maxBlock)
	var cur dialog.Cursor
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.chunk.reset()
		more = w.cfg.Table.Scan(&cur, w.chunk.add)
		// Ends first: should one name a live dialog of the same call with the tags in the other order, the dialog is there
		// after loading, too.
		for i := range w.chunk.deletions {
			if err := w.add(&w.chunk.deletions[i]); err != nil {
				return err
			}
		}
		for i := range w.chunk.snapshots {
			if err := w.add(&w.chunk.snapshots[i]); err != nil {
				return err
			}
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	_, err := w.file.WriteAt(w.header.append(nil, w.sum), 0)
	return err
}

func (w *saver) add(e *entry) error {
	kind := dialog.Create
	switch {
	case e.state.Live():
		w.summary.Dialogs++
	case !w.cfg.Everything:
		return nil
	case e.state == dialog.Ended:
		kind = dialog.Delete
		w.summary.Ended++
	default:
		w.summary.Early++
	}
	body := w.chunk.body(e)
	r := saved{updated: e.updated}
	if kind == dialog.Delete {
		r.start = e.start
	}
	if w.cfg.Origin != nil {
		if a := w.cfg.Origin(e.origin); a.IsValid() {
			r.origin = packets.EndpointOf(a)
		}
	}
	w.block = appendRecordHeader(w.block, &r, bin1.Size(body))
	w.block = bin1.Append(w.block, kind, body)
	w.records++
	if len(w.block) >= blockSize {
		return w.flush()
	}
	return nil
}

// flush writes the block.
func (w *saver) flush() error {
	if w.records == 0 {
		return nil
	}
	binary.LittleEndian.PutUint32(w.block, uint32(len(w.block)-blockHeader))
	binary.LittleEndian.PutUint32(w.block[4:], w.records)
	w.sum = blockSum(w.sum, w.block[:8], w.block[blockHeader:])
	binary.LittleEndian.PutUint32(w.block[8:], w.sum)
	if _, err := w.file.Write(w.block); err != nil {
		return err
	}
	w.header.Records += uint64(w.records)
	w.header.Size += int64(len(w.block))
	w.block, w.records = w.block[:blockHeader], 0
	return nil
}
