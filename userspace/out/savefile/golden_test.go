package savefile_test

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/savefile"
)

// update writes the golden file of the version that this package writes. Files of older versions can't be made again:
// the code that wrote them is gone.
var update = flag.Bool("update", false, "write the golden file of the current version")

const (
	goldenTime    = 1_700_000_000
	goldenRecords = 40
)

// goldenSources are the sources behind origin numbers 1 and 2.
var goldenSources = [...]netip.AddrPort{{}, netip.MustParseAddrPort("192.0.2.10:5555"), netip.MustParseAddrPort("[2001:db8::1]:5556"), {}}

// TestGoldenFiles loads files of each version. All hold the same table: live dialogs that don't expire before 2097,
// calls being set up, and ended ones.
func TestGoldenFiles(t *testing.T) {
	if *update {
		writeGolden(t, "testdata/version2.saved")
	}
	want, err := os.ReadFile("testdata/table.txt")
	if err != nil {
		t.Fatal(err)
	}
	for version := 1; version <= 2; version++ {
		path := fmt.Sprintf("testdata/version%d.saved", version)
		a := newAppliance(t)
		s, err := savefile.Load(t.Context(), savefile.LoadConfig{
			Table: a.table, Path: path,
			Origin: func(e packets.Sender) uint16 {
				return uint16(max(0, slices.Index(goldenSources[:], e.AddrPort())))
			},
		})
		if err != nil {
			t.Error(err)
			continue
		}
		if s.Version != version || !s.Created.Equal(time.Unix(goldenTime+1000, 5)) || s.Records != goldenRecords || s.Changed() != goldenRecords {
			t.Errorf("%s: %+v", path, s)
		}
		if wantLog := version > 1; (s.LogPosition == 77 && s.Incarnation == 3 && string(s.Appliance[:]) == "an appliance's I") != wantLog {
			t.Errorf("%s: %+v", path, s.Header)
		}
		if got := goldenTable(a.table); got != string(want) {
			t.Errorf("%s holds\n%s", path, got)
		}
	}
}

// goldenTable describes each entry of a table in one line.
func goldenTable(table *dialog.Table) string {
	var lines []string
	var cur dialog.Cursor
	for more := true; more; {
		more = table.Scan(&cur, func(v *dialog.View) {
			what := fmt.Sprintf("key=%q", v.Key())
			if !v.Tombstone() {
				what = fmt.Sprintf("%q", fmt.Sprintf("%+v", v.Body().Details()))
			}
			lines = append(lines, fmt.Sprintf("%v start=%d timeout=%d updated=%d source=%v %s\n",
				v.State(), v.Start(), v.Timeout(), v.Updated(), goldenSources[v.Origin()], what))
		})
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// writeGolden saves the table of the golden files. The order of the records differs from run to run.
func writeGolden(t *testing.T, path string) {
	t.Helper()
	a := newAppliance(t)
	for i := range goldenRecords {
		d := call(i)
		d.Start, d.Timeout = goldenTime+uint32(i), 0xf0000000
		d.FromURI = "sip:" + strings.Repeat("a", i*20) + "@example.org"
		d.Vars = fmt.Sprintf("name#value %d \x01\xff|", i)
		d.UserFlags, d.Flags, d.HID, d.CalleeCSeq = uint32(i), uint32(i%8), uint32(1000+i), fmt.Sprint(i)
		now := goldenTime + int64(i)
		switch {
		case i < 30:
			d.State = dialog.State(3 + i%2)
			a.takeAt(packetOf(dialog.Create, d), uint16(1+i%3), now+100)
		case i < 35:
			d.State, d.ToTag, d.Start, d.Timeout = dialog.Early, "", 0, 1
			a.takeAt(packetOf(dialog.Update, d), 1, now+200)
		case i < 38:
			a.takeAt(packetOf(dialog.Create, d), 2, goldenTime+300)
			a.takeAt(packetOf(dialog.Delete, d), 2, now+300)
		default:
			a.takeAt(packetOf(dialog.Delete, d), 3, now+400)
		}
	}
	cfg := savefile.SaveConfig{
		Table: a.table, Path: path, Everything: true, Created: time.Unix(goldenTime+1000, 5),
		Origin: func(n uint16) (s packets.Sender) {
			if a := goldenSources[n]; a.IsValid() {
				s.Endpoint = packets.EndpointOf(a)
			}
			return s
		},
		Incarnation: 3, LogPosition: 77,
	}
	copy(cfg.Appliance[:], "an appliance's ID")
	if _, err := savefile.Save(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Clean(path), 0o644); err != nil {
		t.Fatal(err)
	}
}
