package control

import (
	"bytes"
	"context"
	"hash/maphash"

	"binrepd/dialog"
)

// Bounds of what a request does while it holds the lock of a shard. The workers wait for that lock. A scan visits at
// most holdEntries entries, and a search for one Call-ID all dialogs of the call (dialog.Config.MaxPerCall). Both copy at
// most holdBytes and the rest of one dialog. Nothing is rendered, matched or sent under the lock.
const (
	holdEntries = dialog.ScanMost
	holdBytes   = dialog.ScanBytes
)

// reader reads dialogs of the table for one request. It copies them under the lock of a shard and hands on the copies
// without the lock, so it never keeps more than one hold's copies.
type reader struct {
	backend *Backend
	// choose reports whether to copy an entry. It runs under the lock and must be cheap. It also sees tombstones.
	choose  func(*dialog.View) bool
	bytes   []byte
	list    []place // of the copies in bytes
	entries int     // visited in this hold
	rest    [][]byte
	seed    maphash.Seed
}

// place says where a copy lies in reader.bytes.
type place struct{ from, to int }

func (b *Backend) reader(choose func(*dialog.View) bool) *reader {
	return &reader{backend: b, choose: choose, seed: maphash.MakeSeed()}
}

// scan calls each with a copy of every chosen dialog of the table, which is valid during the call, and between after each step, both without a lock. It ends early
// if one of them returns an error or when ctx ends.
func (r *reader) scan(ctx context.Context, each func(*dialog.View) error, between func() error) error {
	var cur dialog.Cursor
	for more := true; more; {
		r.begin()
		r.rest = r.rest[:0]
		more = r.backend.Table.Scan(&cur, r.visit)
		r.end()
		if err := r.hand(each); err != nil {
			return err
		}
		for _, callID := range r.rest {
			if err := r.call(callID, each); err != nil {
				return err
			}
		}
		if err := between(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// visit copies one entry of a scan. If a single Call-ID has more than may be copied at once, all its dialogs are left for
// call.
func (r *reader) visit(v *dialog.View) {
	r.entries++
	if !r.choose(v) {
		return
	}
	if len(r.bytes) < holdBytes {
		r.add(v)
		return
	}
	callID, _, _ := v.Names()
	if n := len(r.rest); n > 0 && bytes.Equal(r.rest[n-1], callID) {
		return
	}
	r.rest = append(r.rest, bytes.Clone(callID))
	for n := len(r.list); n > 0; n-- { // dialogs of a Call-ID are visited one after another
		last := r.view(n - 1)
		if other, _, _ := last.Names(); !bytes.Equal(other, callID) {
			break
		}
		r.list = r.list[:n-1]
	}
}

// call calls each for every chosen dialog of a Call-ID, in several holds if they are large. A dialog that is there all the
// time is handed on exactly once.
func (r *reader) call(callID []byte, each func(*dialog.View) error) error {
	hash := r.backend.Steering.CallID(callID)
	done := map[uint64]bool{} // hashes of the names that were copied
	var name []byte
	for full := true; full; {
		full = false
		r.begin()
		r.backend.Table.Get(hash, callID, func(v *dialog.View) bool {
			r.entries++
			if !r.choose(v) {
				return true
			}
			name = v.AppendName(name[:0])
			key := maphash.Bytes(r.seed, name)
			switch {
			case done[key]:
			case len(r.bytes) >= holdBytes:
				full = true
				return false
			default:
				done[key] = true
				r.add(v)
			}
			return true
		})
		r.end()
		if err := r.hand(each); err != nil {
			return err
		}
	}
	return nil
}

// begin prepares for a hold.
func (r *reader) begin() { r.bytes, r.list, r.entries = r.bytes[:0], r.list[:0], 0 }

// end reports a hold to a test.
func (r *reader) end() {
	if r.backend.held != nil {
		r.backend.held(r.entries, len(r.bytes))
	}
}

// add copies a dialog.
func (r *reader) add(v *dialog.View) {
	from := len(r.bytes)
	r.bytes = v.AppendCopy(r.bytes)
	r.list = append(r.list, place{from, len(r.bytes)})
}

// view returns a copy of the last hold.
func (r *reader) view(i int) dialog.View { return dialog.ViewOf(r.bytes[r.list[i].from:r.list[i].to]) }

// hand calls each for the copies of the last hold.
func (r *reader) hand(each func(*dialog.View) error) error {
	for i := range r.list {
		v := r.view(i)
		if err := each(&v); err != nil {
			return err
		}
	}
	return nil
}
