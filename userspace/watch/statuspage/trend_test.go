package statuspage

import (
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"binrepd/userspace/watch/control"
)

func TestTrend(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	trend := &Trend{StaleAfter: 90 * time.Second}
	if a := trend.answer(0); len(a.At) != 0 || a.Losses == nil {
		t.Errorf("before the first sample: %+v", a)
	}
	for i := range uint64(1000) {
		trend.Sample(start.Add(time.Duration(i)*time.Second), &control.Status{
			Started: start, CreateRecv: i, UpdateRecv: 2 * i, DeleteRecv: 3 * i, Dialogs: 4 * i,
			Listeners: []control.ListenerStatus{{Address: "a", Account: control.Account{Lost: map[string]uint64{"ring_full": 5 * i}}}},
		})
	}
	all := trend.answer(0)
	if len(all.At) != 301 || all.At[0] != start.Add(699*time.Second).UnixMilli() || all.At[300] != start.Add(999*time.Second).UnixMilli() {
		t.Fatalf("%d points from %d to %d, want the last five minutes", len(all.At), all.At[0], all.At[len(all.At)-1])
	}
	if all.CreateRecv[0] != 699 || all.UpdateRecv[1] != 1400 || all.DeleteRecv[300] != 2997 || all.Dialogs[300] != 3996 || all.Lost[300] != 4995 {
		t.Errorf("counters in the wrong place: %+v", all)
	}
	if all.StaleAfter != 90 {
		t.Errorf("stale after %v s, want 90", all.StaleAfter)
	}
	for after, want := range map[int64]int{
		start.Add(989 * time.Second).UnixMilli():  10,
		start.Add(999 * time.Second).UnixMilli():  0,
		start.Add(9999 * time.Second).UnixMilli(): 301, // of another appliance, or the clock was set back since
		start.UnixMilli():                         301,
		-1:                                        301,
	} {
		if got := trend.answer(after); len(got.At) != want || len(got.Dialogs) != want || want > 0 && got.At[want-1] != all.At[300] {
			t.Errorf("after %d: %d points, want %d", after, len(got.At), want)
		}
	}
}

// TestLosses: the losses by place and reason, without zeros, with their growth within the last minute.
func TestLosses(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	trend := &Trend{}
	s := control.Status{
		Started: start,
		Account: control.Account{Rejected: map[string]uint64{"refused_memory": 0, "refused_call": 0, "checksum": 99}},
		Listeners: []control.ListenerStatus{
			{Address: "10.0.0.2:5556", Account: control.Account{Lost: map[string]uint64{"ring_full": 7, "socket_buffer": 0}}},
			{Address: "[::1]:5556", Account: control.Account{Lost: map[string]uint64{"ring_full": 1}}},
		},
		Destinations: []control.DestinationStatus{{Address: "b:1", Dropped: 20}, {Address: "c:1", Lost: 30}},
	}
	check := func(seconds int, want ...Loss) {
		t.Helper()
		trend.Sample(start.Add(time.Duration(seconds)*time.Second), &s)
		if got := trend.answer(0).Losses; !slices.Equal(got, want) {
			t.Errorf("after %d s:\ngot  %v\nwant %v", seconds, got, want)
		}
	}
	// All of it came since the start, a second ago.
	check(1, Loss{"backup b:1", "queue_full", 20, 20}, Loss{"backup c:1", "not_sent", 30, 30},
		Loss{"listener 10.0.0.2:5556", "ring_full", 7, 7}, Loss{"listener [::1]:5556", "ring_full", 1, 1})
	s.Listeners[0].Lost["socket_buffer"] = 2
	s.Rejected["refused_call"] = 4
	check(30, Loss{"backup b:1", "queue_full", 20, 20}, Loss{"backup c:1", "not_sent", 30, 30},
		Loss{"listener 10.0.0.2:5556", "ring_full", 7, 7}, Loss{"listener 10.0.0.2:5556", "socket_buffer", 2, 2}, Loss{"listener [::1]:5556", "ring_full", 1, 1},
		Loss{"table", "refused_call", 4, 4})
	s.Destinations[0].Dropped += 5
	check(61, Loss{"backup b:1", "queue_full", 25, 5}, Loss{"backup c:1", "not_sent", 30, 0},
		Loss{"listener 10.0.0.2:5556", "ring_full", 7, 0}, Loss{"listener 10.0.0.2:5556", "socket_buffer", 2, 2}, Loss{"listener [::1]:5556", "ring_full", 1, 0},
		Loss{"table", "refused_call", 4, 4})
	check(200, Loss{"backup b:1", "queue_full", 25, 0}, Loss{"backup c:1", "not_sent", 30, 0},
		Loss{"listener 10.0.0.2:5556", "ring_full", 7, 0}, Loss{"listener 10.0.0.2:5556", "socket_buffer", 2, 0}, Loss{"listener [::1]:5556", "ring_full", 1, 0},
		Loss{"table", "refused_call", 4, 0})
	if got := trend.answer(0).Lost; !reflect.DeepEqual(got, []uint64{58, 64, 69, 69}) {
		t.Errorf("sums of the losses %v", got)
	}
}

// TestTrendWhileRead runs a feeder and readers under the race detector.
func TestTrendWhileRead(t *testing.T) {
	a := busy(time.Now())
	h := show(a)
	var all sync.WaitGroup
	all.Go(func() {
		for i := range 200 {
			a.change(time.Now().Add(time.Duration(i)*time.Second), func(s *control.Status) { s.Listeners[0].Lost = map[string]uint64{"ring_full": uint64(i)} })
		}
	})
	for range 4 {
		all.Go(func() {
			for range 20 {
				var got trendAnswer
				if err := json.NewDecoder(get(h, "GET", "/api/trend").Body).Decode(&got); err != nil || len(got.At) != len(got.Lost) {
					t.Errorf("%d times, %d values: %v", len(got.At), len(got.Lost), err)
				}
			}
		})
	}
	all.Wait()
}
