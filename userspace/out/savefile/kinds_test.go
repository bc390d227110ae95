package savefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// withBlock returns the golden file with another block behind those that it has, with two records of three and no
// bytes.
func withBlock(t *testing.T, head blockHead) []byte {
	t.Helper()
	file, err := os.ReadFile("testdata/version2.saved")
	if err != nil {
		t.Fatal(err)
	}
	records := []byte{3, 0, 0, 0, 'a', 'b', 'c', 0, 0, 0, 0}
	head.size = uint32(len(records))
	block := make([]byte, mostBlock)
	head.put(block)
	return sealed(append(append(file, block...), records...))
}

// TestUnknownKindsOfRecords adds records that a later version may write. They are skipped if the file allows it;
// otherwise the file is refused, and the error names them.
func TestUnknownKindsOfRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "saved")
	load := func(file []byte) (LoadSummary, int, error) {
		t.Helper()
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		table := fuzzTable(t)
		s, err := Load(t.Context(), LoadConfig{Table: table, Path: path})
		c := table.Counts()
		return s, c.Live() + c.Early + c.Tombstones, err
	}
	s, held, err := load(withBlock(t, blockHead{kind: "contacts", skippable: true}))
	if err != nil || held != 40 || s.Records != 42 || s.Changed() != 40 || !maps.Equal(s.Skipped, map[string]uint64{"contacts": 2}) {
		t.Errorf("skippable: %d entries, %+v, %v", held, s, err)
	}
	_, held, err = load(withBlock(t, blockHead{kind: "contacts"}))
	if !errors.Is(err, ErrNewer) || held != 0 || !strings.Contains(err.Error(), `"contacts"`) || !strings.Contains(err.Error(), path) {
		t.Errorf("not skippable: %d entries, %v", held, err)
	}
	for _, kind := range []string{"", "Contacts", "a\x00b", "a\x1b[31m", strings.Repeat("\xff", kindSize)} {
		_, held, err = load(withBlock(t, blockHead{kind: kind, skippable: true}))
		var damage *DamageError
		if !errors.As(err, &damage) || held != 0 || strings.ContainsAny(err.Error(), "\x1b\x00") || !utf8.ValidString(err.Error()) {
			t.Errorf("kind %q: %d entries, %v", kind, held, err)
		}
	}
	file := withBlock(t, blockHead{kind: "contacts", skippable: true})
	binary.LittleEndian.PutUint32(file[mostHeader+kindSize:], 2)
	var damage *DamageError
	if _, held, err = load(sealed(file)); !errors.As(err, &damage) || damage.Offset != mostHeader || held != 0 {
		t.Errorf("unknown flag: %d entries, %v", held, err)
	}
}

// TestUnknownLayoutOfADialog changes the layout of the first dialog to one that a later version may write.
func TestUnknownLayoutOfADialog(t *testing.T) {
	for version, file := range map[int]string{1: "testdata/version1.saved", 2: "testdata/version2.saved"} {
		f, _ := formOf(uint32(version))
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.Clone(b)
		b[f.header()+f.block+14] = 99
		path := filepath.Join(t.TempDir(), "saved")
		if err := os.WriteFile(path, sealed(b), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = Load(t.Context(), LoadConfig{Table: fuzzTable(t), Path: path})
		if !errors.Is(err, ErrNewer) || !strings.Contains(fmt.Sprint(err), "layout 99") {
			t.Errorf("version %d: %v", version, err)
		}
	}
}
