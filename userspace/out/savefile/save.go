package savefile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/snapshot"
	"binrepd/userspace/wire/bin1"
)

// SaveConfig says what to save, and where. Table and Path are required.
type SaveConfig struct {
	Table *dialog.Table
	Path  string
	// Everything includes calls being set up and the ends that are remembered, so that loading restores the table as
	// it was. Without it only live dialogs are saved.
	Everything bool
	// Origin returns the source behind an origin number; nil: sources are not saved.
	Origin func(number uint16) packets.Sender
	// Created is when the save begins, for a caller that has to know before; zero: now.
	Created time.Time
	// Appliance, Incarnation and LogPosition go into the header as they are; see Header.
	Appliance   [16]byte
	Incarnation uint64
	LogPosition uint64
}

// SaveSummary tells what was saved.
type SaveSummary struct {
	Created               time.Time // as the file's header has it
	Dialogs, Early, Ended uint64
	Bytes                 int64 // of the file
	Duration              time.Duration
}

// Save writes the table to a new file, which takes the place of the one at Path only when all of it is on the disk.
// Shards are locked one at a time, for copying a few hundred entries.
func Save(ctx context.Context, cfg SaveConfig) (s SaveSummary, err error) {
	begin := time.Now()
	if cfg.Created.IsZero() {
		cfg.Created = begin
	}
	if err := replaceable(cfg.Path); err != nil {
		return s, fmt.Errorf("save: %w", err)
	}
	dir := filepath.Dir(cfg.Path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(cfg.Path)+".*.tmp") // readable by its owner only: it tells who calls whom
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
	w := saver{cfg: &cfg, file: f, header: Header{
		Version: version, Created: cfg.Created,
		Appliance: cfg.Appliance, Incarnation: cfg.Incarnation, LogPosition: cfg.LogPosition,
	}}
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

// replaceable refuses a path at which there is anything but an earlier save: the appliance may be allowed to replace
// files that the user who asks for the save may not.
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
	return fmt.Errorf("%s exists and is no saved state: remove it or choose another name", path)
}

// syncDirectory makes a renaming in dir survive a crash of the host.
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
	form    form
	header  Header
	summary SaveSummary
	sum     uint32 // of the last block
	block   []byte // with room for its header in front
	records uint32 // in it
	entries snapshot.Entries
}

func (w *saver) write(ctx context.Context) error {
	w.form, _ = formOf(version)
	w.sum = crc32.Checksum(w.header.appendSeed(nil), castagnoli())
	w.header.Size = int64(w.form.header())
	if _, err := w.file.Write(make([]byte, w.form.header())); err != nil {
		return err
	}
	w.block = make([]byte, w.form.block, maxBlock)
	var cur dialog.Cursor
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.entries.Reset()
		more = w.cfg.Table.Scan(&cur, w.entries.Add)
		// Ended dialogs first: if one names a live dialog of the same call with the tags in the other order, loading
		// builds the live one again.
		for i := range w.entries.Ended {
			if err := w.add(&w.entries.Ended[i]); err != nil {
				return err
			}
		}
		for i := range w.entries.Dialogs {
			if err := w.add(&w.entries.Dialogs[i]); err != nil {
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

func (w *saver) add(e *snapshot.Entry) error {
	kind := dialog.Create
	switch {
	case e.State.Live():
		w.summary.Dialogs++
	case !w.cfg.Everything:
		return nil
	case e.State == dialog.Ended:
		kind = dialog.Delete
		w.summary.Ended++
	default:
		w.summary.Early++
	}
	body := w.entries.Body(e)
	r := savedDialog{updated: e.Updated}
	if kind == dialog.Delete {
		r.start = e.Start
	}
	if w.cfg.Origin != nil {
		r.origin = w.cfg.Origin(e.Origin)
	}
	if r.layout = e.Layout; r.layout == layout.UDP {
		w.block = r.append(w.block, bin1.Size(body))
		w.block = bin1.Append(w.block, kind, body)
	} else {
		r.ended = kind == dialog.Delete
		w.block = r.append(w.block, len(body))
		w.block = append(w.block, body...)
	}
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
	records := w.block[w.form.block:]
	head := blockHead{kind: kindDialogs, size: uint32(len(records)), records: w.records}
	head.put(w.block)
	sumAt := w.form.block - 4
	w.sum = blockSum(w.sum, w.block[:sumAt], records)
	binary.LittleEndian.PutUint32(w.block[sumAt:], w.sum)
	if _, err := w.file.Write(w.block); err != nil {
		return err
	}
	w.header.Records += uint64(w.records)
	w.header.Size += int64(len(w.block))
	w.block, w.records = w.block[:w.form.block], 0
	return nil
}
