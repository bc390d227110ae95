package statuspage

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"binrepd/userspace/watch/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// appliance is an appliance that the tests invent.
type appliance struct {
	mu      sync.Mutex
	status  control.Status
	taken   int // number of statuses taken
	dialogs map[string][]control.Dialog
	trend   Trend
}

func (a *appliance) config() Config {
	return Config{Status: a.take, Trend: &a.trend, Dialogs: a.find}
}

func (a *appliance) take() control.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken++
	// A real appliance makes new maps and lists each time, too. So a returned status never changes.
	text, err := json.Marshal(a.status)
	if err != nil {
		panic(err)
	}
	var s control.Status
	if err := json.Unmarshal(text, &s); err != nil {
		panic(err)
	}
	return s
}

func (a *appliance) find(callID string, each func(*control.Dialog) bool) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.dialogs[callID]
	for i := range all {
		if !each(&all[i]) {
			break
		}
	}
	return len(all)
}

// change changes the status and passes it to the trend.
func (a *appliance) change(now time.Time, fn func(*control.Status)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fn(&a.status)
	a.trend.Sample(now, &a.status)
}

// empty is an appliance that has just started and has no sources.
func empty(now time.Time) *appliance {
	a := &appliance{status: control.Status{
		Word: control.Idle, Reason: "no source has been seen yet", Version: "v0.1.0", PID: 4711, Started: now.Add(-3 * time.Second),
		Mode: "socket", Memory: control.Memory{Mapped: 12 << 20, Limit: 19 << 30},
		Account:   control.Account{Rejected: map[string]uint64{"denied": 0}, Lost: map[string]uint64{"ring_full": 0}},
		Listeners: []control.ListenerStatus{{Address: "10.0.0.2:5556"}},
		Sources:   []control.SourceStatus{}, Destinations: []control.DestinationStatus{},
	}}
	a.change(now.Add(-time.Second), func(*control.Status) {})
	a.change(now, func(*control.Status) {})
	return a
}

// busy is an appliance of a large site after five minutes, with varying rates, two dozen sources, and long addresses.
func busy(now time.Time) *appliance { return busyFrom(now, 0) }

// busyFrom is busy without the last seconds before now; the caller adds these.
func busyFrom(now time.Time, last int) *appliance {
	a := &appliance{dialogs: map[string][]control.Dialog{}}
	a.trend.StaleAfter = 5 * time.Minute
	skew := func(s float64) *float64 { return &s }
	s := &a.status
	*s = control.Status{
		Word: control.Ready, Version: "v0.1.0", PID: 4711, Started: now.Add(-76*time.Hour - 12*time.Minute),
		Mode: "xdp-native", Interfaces: []control.InterfaceStatus{{Name: "eth0", Mode: "xdp-native"}},
		Dialogs: 1_234_567, Answered: 1_911, Confirmed: 1_232_656, Early: 8_420, Tombstones: 61_203,
		Memory:     control.Memory{Records: 1 << 30, Used: 1_620_000_000, Mapped: 1_700_000_000, Limit: 19 << 30},
		Expired:    control.Expired{Live: 311, Early: 1_902},
		CreateRecv: 412_345_678, UpdateRecv: 423_456_789, DeleteRecv: 411_000_321,
		Account: control.Account{
			Seen: 1_246_803_988, Applied: 1_246_711_020, Recovered: 12_345, BeganEarly: 345_678, Duplicate: 77_012, Stale: 402, Late: 3_120, Unknown: 12_290,
			Rejected: map[string]uint64{"denied": 120, "checksum": 24}, Lost: map[string]uint64{"ring_full": 0, "socket_buffer": 0},
		},
		Latency:       control.LatencyStatus{P50: 98, P99: 53_000_000, P999: 53_000_000, Max: 53_100_000},
		LatencyRecent: control.LatencyStatus{P50: 98, P99: 812, P999: 3640, Max: 48_211}, LatencyWindow: 300,
		Listeners: []control.ListenerStatus{},
	}
	for i := range 4 {
		s.Rings = append(s.Rings, control.RingStatus{Records: 311_700_000, Size: 64 << 20, Fill: uint64(i) * 41_000, HighWater: uint64(9+7*i) << 20})
	}
	for i, address := range []string{"10.0.0.2:5556", "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:5556"} {
		s.Listeners = append(s.Listeners, control.ListenerStatus{
			Address: address, Account: control.Account{Seen: 623_401_994, Lost: map[string]uint64{}},
			Steered: 611_000_112, Socket: 12_401_882, Passed: map[string]uint64{"fragment": 12_390_110, "options": uint64(11_772 * i)},
		})
	}
	for i := range 24 {
		src := control.SourceStatus{
			Counts:  true,
			Address: fmt.Sprintf("10.0.%d.%d:5555", i/8, 11+i%8), Events: uint64(52_000_000 - 1_900_000*i), Rate: 210.4 - 8*float64(i),
			Last: now.Add(-time.Duration(i*i) * 40 * time.Millisecond), Skew: skew(float64(i%3) - 1),
		}
		if i%5 == 1 {
			src.Address = fmt.Sprintf("[2001:db8:85a3:8d3:1319:8a2e:370:%x]:5555", 0x7340+i)
		}
		s.Sources = append(s.Sources, src)
	}
	s.Sources[7].Skew, s.Sources[9].Rejected, s.Sources[11].Skew = skew(42), 144, nil
	s.Destinations = []control.DestinationStatus{
		{Address: "10.0.0.3:5556", Endpoint: "10.0.0.3:5556", State: "up", Since: now.Add(-76 * time.Hour), Sent: 1_246_302_112, Queued: 3},
		{Address: "standby.example.net:5556", Endpoint: "[2001:db8:85a3::8a2e:370:7334]:5556", State: "up", Since: now.Add(-29 * time.Hour), Sent: 402_110_245,
			Held: map[string]uint64{"state": 12}, Unmatched: 4},
	}
	s.State = &control.StateStatus{Dir: "/var/lib/binrepd", Saved: now.Add(-12 * time.Second), SavedDialogs: 1_234_102, SavedBytes: 611_202_331, SaveSeconds: 1.82, Saves: 9120}
	s.Pin = &control.PinStatus{Dir: "/sys/fs/bpf/binrepd"}
	s.Allow = []string{"10.0.0.0/16", "2001:db8:85a3::/48"}
	for i := 300; i >= last; i-- {
		wave := 1 + 0.25*math.Sin(float64(i)/31) + 0.08*math.Sin(float64(i)/3.3) + 0.04*math.Sin(float64(i)*2.1)
		a.change(now.Add(-time.Duration(i)*time.Second), func(s *control.Status) {
			s.CreateRecv += uint64(1240 * wave)
			s.UpdateRecv += uint64(1310 * wave)
			s.DeleteRecv += uint64(1190 * (2 - wave))
			s.Dialogs += uint64(60 * wave)
		})
	}
	return a
}

// losing is a busy appliance with every possible problem.
func losing(now time.Time) *appliance {
	const seconds = 21
	a := busyFrom(now, seconds)
	for i := seconds - 1; i >= 0; i-- {
		a.change(now.Add(-time.Duration(i)*time.Second), func(s *control.Status) {
			s.CreateRecv, s.UpdateRecv, s.DeleteRecv = s.CreateRecv+4100, s.UpdateRecv+4300, s.DeleteRecv+1200
			s.Dialogs += 2900
			s.Listeners[0].Lost["ring_full"] += uint64(40 + 3*i)
			s.Lost["ring_full"] = s.Listeners[0].Lost["ring_full"]
			s.Destinations[0].Dropped += 512
		})
	}
	a.change(now, func(s *control.Status) {
		s.Word, s.Reason = control.Losing, fmt.Sprintf("%d lost within 1m0s: ring_full", s.Lost["ring_full"])
		s.Mode = "xdp-generic"
		s.FallbackReason = "eth0: native XDP: the driver virtio_net has no room for another queue: operation not supported"
		s.Interfaces = append(s.Interfaces, control.InterfaceStatus{Name: "eth1", Mode: "xdp-generic", Link: control.LinkNoCarrier, Lost: 900, Dropped: 950, Missed: 3})
		s.Problems = []control.Problem{
			{Code: control.InterfaceDown, Text: "eth1 has no carrier"}, {Code: control.Fallback, Text: "mode xdp-generic: " + s.FallbackReason},
		}
		s.Lost["socket_buffer"], s.Listeners[1].Lost["socket_buffer"] = 17, 17
		s.Rings[1].Fill, s.Rings[1].HighWater, s.Rings[2].HighWater = 60<<20, 64<<20, 58<<20
		s.Memory.Used = 17 << 30
		full := 1840.0
		s.FullIn = &full
		s.Destinations[0].State, s.Destinations[0].Queued, s.Destinations[0].Since = "refused", 412_345, now.Add(-19*time.Second)
		s.Destinations[0].Cause = "write udp 10.0.0.2:5556->10.0.0.3:5556: connection refused"
		s.Sources[3].Last, s.Sources[3].Rate = now.Add(-425*time.Second), 0
		s.State.Saved, s.State.Failures = now.Add(-911*time.Second), 30
		s.State.Error = "save: write /var/lib/binrepd/table.1: no space left on device"
		s.Pin.Overflowed = 31
		s.Record = &control.RecordStatus{
			Recorded: 4_100_000, FileBytes: 512 << 20, Limit: 1 << 30, Dropped: map[string]uint64{"slow_disk": 1200, "disk_error": 0},
			Errors: 3, Error: "write /var/lib/binrepd/record/7: no space left on device",
		}
		s.Syncs = []control.SyncStatus{{To: "10.0.0.4:5556", Started: now.Add(-72 * time.Second), SyncProgress: control.SyncProgress{
			Pass: 1, Passes: 2, Visited: 402_110, Total: 1_304_000, Packets: 401_900, Elapsed: 72, Remaining: 221,
		}}}
		s.Denied = []control.RefusedSource{{Address: "203.0.113.7", Datagrams: 120}}
	})
	return a
}

// Strings that an attacker might choose. Each would do harm if it became markup, a script or part of an address.
const (
	hostileCallID = `"><img src=x onerror="document.title='owned'"><script>document.title='owned'</script>'&amp;#?/%00@evil.example`
	hostileURI    = `sip:"><svg/onload=alert(1)>@` + "\u202eten.elpmaxe\u202c" + `.example;tag=</script><script>throw new Error('owned')</script>`
)

// call is an ordinary dialog.
func call(now time.Time, callID string) control.Dialog {
	return control.Dialog{
		CallID: control.Text(callID), FromURI: "sip:+4930123456@proxy-a.example.net", ToURI: "sip:+4940987654@proxy-b.example.net;user=phone",
		State: 4, UserFlags: "0", Start: uint32(now.Unix()) - 76*3600 - 900, Timeout: uint32(now.Unix()) + 30*3600 + 1800,
		CallerTag: "as6f3b2c1d", CallerContact: "sip:+4930123456@192.0.2.44:5062;transport=udp;ob", CalleeCSeq: "0",
		CallerRouteSet: "<sip:192.0.2.1;lr;ftag=as6f3b2c1d;did=3a1.8f2>,<sip:[2001:db8:85a3:8d3:1319:8a2e:370:7348]:5060;lr>",
		CallerSocket:   "udp:10.0.0.1:5060",
		Callees: []control.Callee{{
			Tag: "7dd1c0a94e", Contact: "sip:+4940987654@198.51.100.20:5060", CallerCSeq: "102", RouteSet: "<sip:198.51.100.1;lr>", Socket: "udp:10.0.0.1:5060",
		}},
		HID: 2841, Flags: 17, Vars: map[string]control.Text{"account": "acme-4711", "billing_id": "b7d1"},
		Profiles: []control.Profile{{Name: "caller", Value: "acme"}}, Origin: "10.0.0.11:5555", Updated: uint32(now.Unix()) - 31,
	}
}

// hostile is a dialog in which every string was chosen to do harm.
func hostile(now time.Time) control.Dialog {
	d := call(now, hostileCallID)
	for _, t := range []*control.Text{&d.FromURI, &d.ToURI, &d.CallerTag, &d.CallerContact, &d.CallerRouteSet, &d.CallerSocket, &d.MangledFrom} {
		*t = hostileURI
	}
	d.CalleeCSeq = "\x00\x1b[31m\xff"
	d.Callees[0] = control.Callee{Tag: hostileURI, Contact: hostileURI, CallerCSeq: hostileURI, RouteSet: hostileURI, Socket: hostileURI}
	d.Vars = map[string]control.Text{"__proto__": hostileURI, `<b>name</b>`: `javascript:alert(1)`}
	d.Profiles = []control.Profile{{Name: hostileURI, Value: hostileURI}}
	return d
}
