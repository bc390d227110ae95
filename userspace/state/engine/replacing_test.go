package engine

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1/bin1test"
)

const replacer, bystander = "198.51.100.1:5556", "198.51.100.2:5555"

// replacingRig is a worker that is fed by hand, and what it has logged.
type replacingRig struct {
	*rig
	w     *worker
	proxy *bin1test.Proxy
	log   bytes.Buffer
}

func newReplacingRig(t *testing.T) *replacingRig {
	r := &replacingRig{proxy: bin1test.NewProxy(7, bin1test.Realistic(testNow, 100))}
	r.rig = newRig(t, 1, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&r.log, nil)) })
	r.w = newWorker(r.Engine, Input{Source: r.sources[0]})
	return r
}

// feed applies a stream in batches of that size, as if it were received so long after the beginning, and returns what was logged.
func (r *replacingRig) feed(batch int, after time.Duration, stream ...packets.Packet) string {
	r.log.Reset()
	for len(stream) > 0 {
		n := min(batch, len(stream))
		r.w.batch.Packets = append(r.w.batch.Packets[:0], stream[:n]...)
		for i := range r.w.batch.Packets {
			r.w.batch.Packets[i].Received += int64(after)
		}
		stream = stream[n:]
		r.w.decode()
		r.w.apply(testNow)
		r.w.account()
		r.w.replaced()
	}
	r.notices.flush(r.cfg.Log)
	return r.log.String()
}

// of is packets of some calls, all those of a call behind each other.
func (r *replacingRig) of(source string, calls, first uint64, steps ...bin1test.Phase) (stream []packets.Packet) {
	for call := first; call < first+calls; call++ {
		for _, s := range steps {
			stream = append(stream, from(source, 0, r.proxy.AppendPacket(nil, call, s)))
		}
	}
	return stream
}

// TestReplacingIsToldOnce: a source that deletes and creates calls is named once an hour, in whatever batches that comes; a single
// batch at full speed has many, at the pace for an OpenSIPS one or two, and between a call's two packets there may be another's.
func TestReplacingIsToldOnce(t *testing.T) {
	for _, batch := range []int{1, 2, 7, 512} {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			r := newReplacingRig(t)
			r.feed(512, 0, r.of(replacer, 200, 0, bin1test.Create)...)
			replace := func(from uint64, calls uint64) []packets.Packet {
				return r.of(replacer, calls, from, bin1test.Delete, bin1test.Create)
			}
			if text := r.feed(batch, 0, replace(0, replacedCalls-1)...); text != "" {
				t.Errorf("too few were told of: %s", text)
			}
			mixed := replace(50, 3*replacedCalls)
			if batch >= 7 {
				for i := 1; i < len(mixed); i += 7 {
					mixed = append(mixed[:i:i], append(r.of(bystander, 1, 1000+uint64(i), bin1test.Create), mixed[i:]...)...)
				}
			}
			text := r.feed(batch, time.Minute, mixed...)
			if strings.Count(text, "\n") != 1 || !strings.Contains(text, "sync --replace is for OpenSIPS; run a plain sync") ||
				!strings.Contains(text, "source="+replacer) {
				t.Errorf("told: %s", text)
			}
			if text := r.feed(batch, 50*time.Minute, replace(100, replacedCalls)...); text != "" {
				t.Errorf("told again within the hour: %s", text)
			}
			if text := r.feed(batch, 62*time.Minute, replace(150, replacedCalls)...); strings.Count(text, "\n") != 1 {
				t.Errorf("an hour later: %s", text)
			}
		})
	}
}

// TestLateAloneIsNotReplacing: creations that come late for other reasons, however many, are what a network does.
func TestLateAloneIsNotReplacing(t *testing.T) {
	const calls = 10 * replacedCalls
	late := func(r *replacingRig) uint64 { return r.w.count.intakes[0].Outcomes[dialog.Create][dialog.Late] }
	for name, stream := range map[string]func(*replacingRig) []packets.Packet{
		"long behind their ends": func(r *replacingRig) []packets.Packet {
			return append(r.of(replacer, calls, 0, bin1test.Delete), r.of(replacer, calls, 0, bin1test.Create)...)
		},
		"another source's": func(r *replacingRig) (stream []packets.Packet) {
			for call := range uint64(calls) {
				stream = append(stream, r.of(bystander, 1, call, bin1test.Delete)...)
				stream = append(stream, r.of(replacer, 1, call, bin1test.Create)...)
			}
			return stream
		},
		"repeated behind the end of a whole call": func(r *replacingRig) []packets.Packet {
			return r.of(replacer, calls, 0, bin1test.Create, bin1test.Confirm, bin1test.Delete, bin1test.Confirm, bin1test.Create)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReplacingRig(t)
			if text := r.feed(64, 0, stream(r)...); text != "" || late(r) != calls {
				t.Errorf("%d late, told: %s", late(r), text)
			}
		})
	}
	t.Run("over a long time", func(t *testing.T) {
		r := newReplacingRig(t)
		for call := range uint64(calls) {
			stream := r.of(replacer, 1, call, bin1test.Create, bin1test.Delete, bin1test.Create)
			if text := r.feed(64, time.Duration(call)*replacedWithin/4, stream...); text != "" {
				t.Fatalf("told: %s", text)
			}
		}
		if late(r) != calls {
			t.Errorf("%d late", late(r))
		}
	})
}
