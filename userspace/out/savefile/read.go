package savefile

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"binrepd/dialog"
)

// ReadHeader returns what the header of a file says. It reads nothing behind the header.
func ReadHeader(path string) (Header, error) {
	f, err := openRegular(path)
	if err != nil {
		return Header{}, fmt.Errorf("read header: %w", err)
	}
	defer f.Close()
	h, _, _, _, err := readHeader(f, path)
	return h, err
}

// openRegular opens a file for reading. It refuses what might block, such as a pipe.
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

// readHeader reads the header at the beginning of a file; see parseHeader.
func readHeader(f *os.File, path string) (h Header, fm form, last, seed uint32, err error) {
	head := make([]byte, mostHeader)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return h, fm, 0, 0, fmt.Errorf("read %s: %w", path, err)
	}
	return parseHeader(path, head[:n])
}

// section is a verified block: records of one kind.
type section struct {
	form *form
	blockHead
	data []byte // the records; valid during the call that gets it
}

// known reports whether this version knows the kind of the records. The others may be skipped: readFile refuses a file
// with any that may not.
func (s *section) known() bool { return s.kind == kindDialogs }

// readFile verifies the file block by block, and calls use for each.
func readFile(ctx context.Context, f *os.File, path string, use func(*section) error) (h Header, err error) {
	h, form, last, sum, err := readHeader(f, path)
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
		return h, &DamageError{path, max(min(size, h.Size), 0), reason}
	}
	if _, err := f.Seek(int64(form.header()), io.SeekStart); err != nil {
		return h, err
	}
	in := bufio.NewReaderSize(f, 1<<16)
	records := uint64(0)
	block := make([]byte, 0, maxBlock)
	s := section{form: &form}
	for at := int64(form.header()); at < h.Size; at += int64(len(block)) {
		if err := ctx.Err(); err != nil {
			return h, err
		}
		if block, err = readBlock(in, &form, block, h.Size-at, &sum); err != nil {
			return h, damage(path, at, err)
		}
		if err := s.parse(&form, block); err != nil {
			return h, damage(path, at, err)
		}
		s.data = block[form.block:]
		if !s.known() && !s.skippable {
			return h, fmt.Errorf("%s %w: it has records of kind %q, which this binrepd doesn't know", path, ErrNewer, s.kind)
		}
		if offset, err := s.check(); err != nil {
			return h, damage(path, at+int64(form.block+offset), err)
		}
		records += uint64(s.records)
		if err := use(&s); err != nil {
			return h, err
		}
	}
	if records != h.Records || sum != last {
		return h, &DamageError{path, h.Size, fmt.Sprintf("it has %d records, and should have %d; or blocks are missing", records, h.Records)}
	}
	return h, nil
}

// damage makes a DamageError of what is wrong with the content. Errors of reading and ErrNewer stay what they are.
func damage(path string, at int64, err error) error {
	if errors.Is(err, ErrNewer) {
		return fmt.Errorf("%s %w", path, err)
	}
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return &DamageError{path, at, err.Error()}
}

// readBlock reads the next block, of which at most rest bytes are left in the file, into the memory of block.
func readBlock(in io.Reader, f *form, block []byte, rest int64, sum *uint32) ([]byte, error) {
	block = block[:f.block]
	if _, err := io.ReadFull(in, block); err != nil {
		return block, err
	}
	size := int64(binary.LittleEndian.Uint32(block[f.block-12:]))
	if size == 0 || size > int64(maxBlock-mostBlock) || size > rest-int64(f.block) {
		return block, errors.New("the length of the block is wrong")
	}
	block = block[:int64(f.block)+size]
	if _, err := io.ReadFull(in, block[f.block:]); err != nil {
		return block, err
	}
	*sum = blockSum(*sum, block[:f.block-4], block[f.block:])
	if *sum != binary.LittleEndian.Uint32(block[f.block-4:]) {
		return block, errors.New("the checksum of the block is wrong")
	}
	return block, nil
}

// check verifies the records of a block. With an error, offset tells where in them it is.
func (s *section) check() (offset int, err error) {
	count := uint32(0)
	for rest := s.data; len(rest) > 0; count++ {
		offset = len(s.data) - len(rest)
		record, next, ok := s.form.cutRecord(rest)
		if !ok {
			return offset, errors.New("a record reaches past its block")
		}
		if s.known() {
			if err := s.checkDialog(record); err != nil {
				return offset, err
			}
		}
		rest = next
	}
	if count != s.records {
		return 0, errors.New("the number of records is wrong")
	}
	return 0, nil
}

func (s *section) checkDialog(record []byte) error {
	r, err := s.form.parseDialog(record)
	if err != nil {
		return err
	}
	var ev dialog.Event
	return r.event(&ev)
}
