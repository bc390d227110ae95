package resync_test

import (
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/wire/bin1/bin1test"
)

// applying is a sink that delivers to another binrepd.
type applying struct {
	to       *appliance
	outcomes map[dialog.Outcome]int
}

func (s applying) Send(messages []packets.Message) (int, error) {
	for _, m := range messages {
		s.outcomes[s.to.take(m.Payload)]++
	}
	return len(messages), nil
}

// handOver syncs a to b and returns what became of the packets there.
func handOver(t *testing.T, a, b *appliance, change func(*resync.Config)) map[dialog.Outcome]int {
	t.Helper()
	sink := applying{b, map[dialog.Outcome]int{}}
	if sum, err := a.sync(nil, func(c *resync.Config) {
		c.Sink, c.Passes = sink, 2
		change(c)
	}); err != nil || !sum.Complete || sum.Passes != 2 {
		t.Fatalf("%+v, %v", sum, err)
	}
	return sink.outcomes
}

// TestAnotherBinrepdByAPlainSync: it becomes equal, whatever it had of these calls: nothing, an older state, other content, other variables,
// a live call whose end it missed, an end that was one of an earlier call with the key.
func TestAnotherBinrepdByAPlainSync(t *testing.T) {
	for name, change := range map[string]func(*resync.Config){
		"without a pace": func(*resync.Config) {},
		"with a pace":    func(c *resync.Config) { c.Rate = 1_000_000 },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newAppliance(t, 0), newAppliance(t, 0)
			const calls = 700
			for n := range calls {
				now := call(n)
				a.takeDetails(dialog.Create, now)
				before := now
				switch n % 7 {
				case 0: // unknown
					continue
				case 1:
					before.State = dialog.Answered
				case 2:
					before.CallerCSeq, before.CalleeCSeq = "0", "0"
				case 3:
					before.Vars, before.Profiles = "v#old|w#gone|", "p#|q#|"
				case 4:
					before.CallerContact, before.CallerSocket = "sip:wrong@z", "udp:192.0.2.77:5060"
				case 5:
					a.takeDetails(dialog.Delete, now)
				case 6:
					before.Start -= 100
				}
				b.takeDetails(dialog.Create, before)
				if n%7 == 6 {
					b.takeDetails(dialog.Delete, before)
				}
			}
			outcomes := handOver(t, a, b, change)
			if diff := bin1test.DiffDetails(b.live(), a.live()); len(diff) > 0 || len(a.live()) != calls*6/7 {
				t.Errorf("%d live, %d differences, first: %s", len(a.live()), len(diff), diff[:min(3, len(diff))])
			}
			if outcomes[dialog.Late]+outcomes[dialog.Stale] > 0 {
				t.Errorf("outcomes: %v", outcomes)
			}
		})
	}
}

// TestAnotherBinrepdByReplace holds what the documents warn of: Replace is for an OpenSIPS. Elsewhere the deletion leaves a tombstone, behind
// which a creation with the same start is late, and no call is left; another sync brings none back until the tombstones are gone.
func TestAnotherBinrepdByReplace(t *testing.T) {
	const calls = 100
	a, b := newAppliance(t, 0), newAppliance(t, 0)
	for n := range calls {
		a.takeDetails(dialog.Create, call(n))
		b.takeDetails(dialog.Create, call(n))
	}
	outcomes := handOver(t, a, b, func(c *resync.Config) { c.Replace = true })
	if n := len(b.live()); n != 0 || outcomes[dialog.Late] != 4*calls || outcomes[dialog.Applied] != calls {
		t.Errorf("%d of %d calls are left, outcomes %v", n, calls, outcomes)
	}
	if handOver(t, a, b, func(*resync.Config) {}); len(b.live()) != 0 {
		t.Errorf("%d calls are back while their ends are remembered", len(b.live()))
	}
	b.table.Expire(time.Now().Unix() + 1000)
	outcomes = handOver(t, a, b, func(*resync.Config) {})
	if diff := bin1test.DiffDetails(b.live(), a.live()); len(diff) > 0 {
		t.Errorf("%d differences, first: %s; outcomes %v", len(diff), diff[0], outcomes)
	}
}
