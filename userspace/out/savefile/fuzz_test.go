package savefile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// sealed returns a copy of a saved file in which all versions, checksums, sizes and counts are right, so that the
// rest of the damage gets past them. It cuts off what is behind the last whole block.
func sealed(file []byte) []byte {
	if len(file) < 12 {
		return bytes.Clone(file)
	}
	f, known := formOf(binary.LittleEndian.Uint32(file[8:]))
	if !known {
		f, _ = formOf(version)
	}
	if len(file) < f.header() {
		return bytes.Clone(file)
	}
	h := Header{Version: f.version, Created: time.Unix(0, int64(binary.LittleEndian.Uint64(file[16:])))}
	out := bytes.Clone(file)
	copy(out, h.appendSeed(nil))
	_, _, _, sum, _ := parseHeader("", h.append(nil, 0))
	at := f.header()
	for len(out)-at >= f.block {
		head := out[at : at+f.block]
		counts := head[f.block-12:]
		size := int(binary.LittleEndian.Uint32(counts))
		if size == 0 || size > len(out)-at-f.block {
			break
		}
		records := out[at+f.block : at+f.block+size]
		count := uint32(0)
		for rest, ok := records, true; len(rest) > 0 && ok; count++ {
			_, rest, ok = f.cutRecord(rest)
		}
		binary.LittleEndian.PutUint32(counts[4:], count)
		sum = blockSum(sum, head[:f.block-4], records)
		binary.LittleEndian.PutUint32(counts[8:], sum)
		h.Records += uint64(count)
		at += f.block + size
	}
	h.Size = int64(at)
	copy(out, h.append(nil, sum))
	return out[:at]
}

func fuzzTable(tb testing.TB) *dialog.Table {
	tb.Helper()
	table, err := dialog.NewTable(dialog.Config{Shards: 2})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { table.Close() })
	return table
}

// FuzzLoad loads any file. Either the file is refused and the table stays as it was, or each of its records is
// counted; then the table can be saved and loaded again, and the result is the same.
func FuzzLoad(f *testing.F) {
	ctx, dir := context.Background(), f.TempDir()
	path := filepath.Join(dir, "input")
	from := fuzzTable(f)
	proxy := bin1test.NewProxy(1, bin1test.Realistic(time.Now().Unix(), 5))
	for range 12 {
		packet := proxy.Next(nil)
		var ev dialog.Event
		if v := bin1.Decode(packet, &ev); v != bin1.Dialog {
			f.Fatal(v)
		}
		ev.Hash = packets.Steering{}.Hash(packet, packets.Endpoint{})
		s := from.Lock(from.ShardOf(ev.Hash))
		s.Apply([]*dialog.Event{&ev}, time.Now().Unix())
		s.Unlock()
	}
	if _, err := Save(ctx, SaveConfig{Table: from, Path: path, Everything: true}); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{whole, whole[:mostHeader], whole[:len(whole)/2], nil, []byte("BINREPD\n")} {
		f.Add(seed)
	}
	input, err := os.Create(filepath.Join(dir, "fuzzed"))
	if err != nil {
		f.Fatal(err)
	}
	defer input.Close()
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, file := range [][]byte{content, sealed(content)} {
			if err := errors.Join(input.Truncate(0), writeAt(input, file)); err != nil {
				t.Fatal(err)
			}
			table := fuzzTable(t)
			s, err := Load(t.Context(), LoadConfig{Table: table, Path: input.Name()})
			if err != nil {
				var damage *DamageError
				if !errors.As(err, &damage) && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrNewer) {
					t.Fatalf("%v", err)
				}
				if damage != nil && (damage.Offset < 0 || damage.Offset > max(int64(len(file)), s.Size)) {
					t.Fatalf("damage at %d of %d bytes", damage.Offset, len(file))
				}
				if c := table.Counts(); c.Live()+c.Early+c.Tombstones > 0 {
					t.Fatalf("refused (%v), and left %+v", err, c)
				}
				continue
			}
			placed := s.Expired
			for _, n := range s.Outcomes {
				placed += n
			}
			for _, n := range s.Skipped {
				placed += n
			}
			if placed != s.Records || s.Outcomes[dialog.NoOutcome] > 0 {
				t.Fatalf("%d of %d records have a place: %+v", placed, s.Records, s)
			}
			again(t, table, filepath.Join(dir, "again"))
		}
	})
}

func writeAt(f *os.File, b []byte) error {
	_, err := f.WriteAt(b, 0)
	return err
}

// again saves a table and loads it into another.
func again(t *testing.T, table *dialog.Table, path string) {
	t.Helper()
	saved, err := Save(t.Context(), SaveConfig{Table: table, Path: path, Everything: true})
	if err != nil {
		t.Fatal(err)
	}
	copied := fuzzTable(t)
	s, err := Load(t.Context(), LoadConfig{Table: copied, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	want, got := table.Counts(), copied.Counts()
	// Loading leaves out dialogs whose timeout has passed; the first table still holds them.
	if uint64(want.Live()) != uint64(got.Live())+s.Expired || want.Early != got.Early || want.Tombstones != got.Tombstones ||
		s.Records != saved.Dialogs+saved.Early+saved.Ended {
		t.Fatalf("saved %+v of %+v, loaded %+v, holds %+v", saved, want, s, got)
	}
}
