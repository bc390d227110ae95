package live

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"binrepd/userspace/watch/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// noon is the time of the tests.
func noon() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC) }

// healthy is the status of a normal day after this many seconds.
func healthy(seconds int) control.Status {
	at := noon().Add(time.Duration(seconds) * time.Second)
	n := uint64(seconds)
	wave := uint64(0)
	for i := range seconds {
		wave += uint64(800 + 400*(i%20)/20)
	}
	s := control.Status{
		Word: control.Ready, Version: "v0.1.0", PID: 4711, Started: noon().Add(-3 * time.Hour), Mode: "xdp-native",
		Interfaces: []control.InterfaceStatus{{Name: "eth0", Mode: "xdp-native"}, {Name: "eth1", Mode: "xdp-native"}},
		Dialogs:    199_233, Confirmed: 190_001, Answered: 9_232, Early: 12, Tombstones: 87_700,
		Memory:     control.Memory{Used: 110 << 20, Mapped: 120 << 20, Limit: 1 << 30},
		CreateRecv: wave, UpdateRecv: wave / 2, DeleteRecv: n * 400,
		Account: control.Account{
			Seen: wave + wave/2 + n*400, Applied: wave + wave/2 + n*400 - 12, Recovered: 22, Duplicate: 12,
			Rejected: map[string]uint64{"denied": 7, "short": 0, "refused_memory": 0}, Lost: map[string]uint64{"ring_full": 0, "socket_full": 0},
		},
		Latency:       control.LatencyStatus{P50: 98, P99: 3146, P999: 36400, Max: 53_000_000},
		LatencyRecent: control.LatencyStatus{P50: 98, P99: 3146, P999: 36400, Max: 1_640_000}, LatencyWindow: 301,
		Rings: []control.RingStatus{
			{Size: 64 << 20, Fill: 0, HighWater: 3 << 20}, {Size: 64 << 20, Fill: 40 << 20, HighWater: 60 << 20},
		},
	}
	ahead := 0.0
	for i := range 3 {
		s.Sources = append(s.Sources, control.SourceStatus{
			Counts:  true,
			Address: fmt.Sprintf("10.99.0.%d:5555", i+1), Events: n * uint64(300*(i+1)), Rate: float64(300 * (i + 1)), Last: at, Skew: &ahead,
		})
	}
	s.Destinations = []control.DestinationStatus{
		{Address: "standby.example.net:5556", Endpoint: "10.0.0.4:5556", State: "up", Since: noon().Add(-time.Hour), Sent: n * 1000},
	}
	return s
}

// losing is the status of a bad day.
func losing(seconds int) control.Status {
	s := healthy(seconds)
	n := uint64(seconds)
	s.Word, s.Reason = control.Losing, "1200 lost within 1m0s: ring_full"
	s.Mode, s.FallbackReason = "xdp-generic", "eth0: the driver veth_like has no native XDP, and a program that is attached to it in that way was refused: operation not supported"
	s.Lost["ring_full"], s.Lost["socket_full"] = n*20, 77
	s.Rejected["short"], s.Rejected["checksum"] = 3, 12
	full := 1234.0
	s.FullIn = &full
	s.Memory.Used = 1000 << 20
	s.State = &control.StateStatus{Error: "save: write state/a.bin: no space left on device"}
	s.Problems = []control.Problem{
		{Code: control.Fallback, Text: "mode xdp-generic: " + s.FallbackReason},
		{Code: control.SaveFailing, Text: "the table can't be saved: " + s.State.Error},
	}
	s.ClockAhead = -12
	s.Sources[0].Last = noon().Add(-10 * time.Minute)
	s.Sources[1].Rejected = 15
	s.Destinations[0].State, s.Destinations[0].Cause = "refused", "connection refused"
	s.Destinations[0].Queued, s.Destinations[0].Dropped = 190_668, n*10
	s.Destinations[0].Held = map[string]uint64{"routes": 3}
	s.Syncs = []control.SyncStatus{{To: "10.0.0.9:5556", Started: noon(), SyncProgress: control.SyncProgress{
		Pass: 1, Passes: 2, Visited: 45_000, Total: 100_000, Packets: 45_000, Remaining: 23.4,
	}}}
	return s
}

// many is a status with more rows than fit.
func many(seconds int) control.Status {
	s := healthy(seconds)
	s.Sources, s.Rings, s.Destinations = nil, nil, nil
	for i := range 120 {
		s.Sources = append(s.Sources, control.SourceStatus{
			Address: fmt.Sprintf("10.99.%d.%d:5555", i/50, i%50), Events: uint64(i * seconds), Rate: float64(i), Last: noon(),
		})
	}
	for i := range 16 {
		s.Rings = append(s.Rings, control.RingStatus{Size: 64 << 20, Fill: uint64(i) << 20, HighWater: uint64(4*i) << 20})
	}
	for i := range 9 {
		s.Destinations = append(s.Destinations, control.DestinationStatus{
			Address: fmt.Sprintf("10.1.0.%d:5556", i), State: "up", Since: noon(), Sent: uint64(seconds * 3 * i),
		})
	}
	return s
}

func ipv6(seconds int) control.Status {
	s := healthy(seconds)
	s.Sources[0].Address = "[2001:db8:1111:2222:3333:4444:5555:6661]:5555"
	s.Sources[1].Address = "[2001:db8:1111:2222:3333:4444:5555:6662]:5555"
	s.Sources[1].Rejected, s.Sources[1].Events = 1_234_567, 123_456_789
	s.Destinations[0].Address = "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535"
	return s
}

// evil contains sequences that no terminal may receive.
const evil = "\x1b[2J\x1b]0;owned\x07\u009b31m\u202eabc\r\n\x00\xff日本\u0301"

func hostile(seconds int) control.Status {
	s := losing(seconds)
	s.Word, s.Reason, s.Mode, s.FallbackReason, s.Version = control.Word("X"+evil), evil, evil, evil, evil
	s.Interfaces[0].Name = evil
	s.Sources[0].Address = evil
	s.Destinations[0].Address, s.Destinations[0].State, s.Destinations[0].Cause = evil, evil, evil
	s.Lost[evil], s.Rejected[evil] = uint64(seconds), 1
	s.Syncs[0].To = evil
	s.Problems = []control.Problem{{Code: control.ProblemCode(evil), Text: evil}}
	return s
}

// after returns a model that has got a status every second.
func after(o Options, seconds int, of func(int) control.Status) *Model {
	m := New(o)
	for i := 0; i <= seconds; i++ {
		m.Take(noon().Add(time.Duration(i)*time.Second), of(i))
	}
	return m
}

// end is the time of the last status.
func end(seconds int) time.Time { return noon().Add(time.Duration(seconds) * time.Second) }

// golden compares text with a file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs (go test ./userspace/watch/live -update writes it again):\n%s\nwant\n%s", name, text, want)
	}
}

// checkFrame checks the properties that every frame must have.
func checkFrame(t *testing.T, f *Frame, width, height int) {
	t.Helper()
	if f.Width != width || f.Height != height || len(f.cells) != width*height {
		t.Fatalf("%dx%d with %d cells, want %dx%d", f.Width, f.Height, len(f.cells), width, height)
	}
	for i, c := range f.cells {
		if !f.glyphs.shows(c.Rune) {
			t.Fatalf("row %d, column %d: %q", i/width, i%width, c.Rune)
		}
	}
	if text := f.Text(); !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !f.glyphs.shows(r) }) {
		t.Fatalf("not plain: %q", text)
	}
}

func TestFrames(t *testing.T) {
	const seconds = 90
	for _, test := range []struct {
		name  string
		of    func(int) control.Status
		ascii bool
		ansi  bool
		sizes [][2]int
	}{
		{"healthy", healthy, false, false, [][2]int{{80, 24}, {120, 40}, {200, 60}}},
		{"healthy_ascii", healthy, true, false, [][2]int{{80, 24}}},
		{"healthy_color", healthy, false, true, [][2]int{{80, 24}}},
		{"losing", losing, false, false, [][2]int{{80, 24}, {120, 40}, {200, 60}}},
		{"losing_color", losing, false, true, [][2]int{{80, 24}}},
		{"many", many, false, false, [][2]int{{80, 24}, {120, 40}}},
		{"ipv6", ipv6, false, false, [][2]int{{80, 24}, {120, 40}}},
		{"hostile", hostile, false, false, [][2]int{{80, 24}, {120, 40}}},
		{"hostile_ascii", hostile, true, false, [][2]int{{80, 24}}},
		{"zero", func(int) control.Status {
			return control.Status{Word: control.Idle, Reason: "no source has been seen yet"}
		}, false, false, [][2]int{{80, 24}}},
	} {
		m := after(Options{Unicode: !test.ascii}, seconds, test.of)
		for _, size := range test.sizes {
			f := m.Frame(size[0], size[1], end(seconds))
			checkFrame(t, f, size[0], size[1])
			text := f.Text()
			if test.ansi {
				text = f.ANSI()
			}
			golden(t, fmt.Sprintf("%s_%dx%d", test.name, size[0], size[1]), text)
		}
	}
}

// TestEverySize draws everything at every size, including tiny ones. It must not write outside the frame or panic.
func TestEverySize(t *testing.T) {
	for _, of := range []func(int) control.Status{healthy, losing, many, ipv6, hostile, func(int) control.Status { return control.Status{} }} {
		m := after(Options{Unicode: true}, 30, of)
		for _, keys := range [][]string{nil, {"?"}, {"x", "/", "a", evil, KeyEnter}, {"/", "b"}} {
			for _, k := range keys {
				m.Press(k)
			}
			for width := 0; width <= 130; width += 1 + width/20 {
				for height := 0; height <= 70; height += 1 + height/20 {
					checkFrame(t, m.Frame(width, height, end(30)), width, height)
				}
			}
		}
	}
}

// TestNothingKnown: before the first answer, and without one.
func TestNothingKnown(t *testing.T) {
	m := New(Options{Unicode: true})
	checkFrame(t, m.Frame(80, 24, noon()), 80, 24)
	m.Fail(noon(), fmt.Errorf("no binrepd runs"))
	if text := m.Frame(80, 24, noon().Add(5*time.Second)).Text(); !strings.HasPrefix(text, " NO ANSWER  for 5s: no binrepd runs") {
		t.Error(text)
	}
}
