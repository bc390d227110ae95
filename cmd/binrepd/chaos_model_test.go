package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// arrivals is what an appliance must have got, by the frames that were put on its wire: a slow reading of what the kernel and the
// XDP program do with them.
type arrivals struct {
	payloads [][]byte // in order of completion
	// unsound datagrams come to a socket with a wrong UDP checksum: the kernel drops them, and counts them as lost there if it
	// looks at them only when they are read.
	unsound int
	strange int // frames that get nowhere: a header is damaged
}

// fragments of one datagram that is not whole yet.
type fragments map[int]fragment

type fragment struct {
	data []byte
	last bool
}

// arrive reads frames as they were emitted. With xdp the UDP checksum of what isn't fragmented doesn't matter.
func arrive(frames [][]byte, xdp bool) (a arrivals) {
	to := netip.MustParseAddrPort(listenAt)
	pending := map[string]fragments{}
	for _, f := range frames {
		ip := f[14:]
		total := int(binary.BigEndian.Uint16(ip[2:]))
		if ip[0] != 0x45 || ip[9] != 17 || total > len(ip) || total < 20 || headerSum(ip) != 0xffff || netip.AddrFrom4([4]byte(ip[16:])) != to.Addr() {
			a.strange++
			continue
		}
		udp, whole := ip[20:total], !isFragment(f)
		if !whole {
			if udp = assemble(pending, ip[:20], udp); udp == nil {
				continue
			}
		}
		if len(udp) < 8 {
			a.strange++
			continue
		}
		length := int(binary.BigEndian.Uint16(udp[4:]))
		if length < 8 || length > len(udp) || binary.BigEndian.Uint16(udp[2:]) != to.Port() {
			a.strange++
			continue
		}
		udp = udp[:length]
		payload := udp[8:]
		steered := xdp && whole && len(payload) >= bin1.MinSize && string(payload[:4]) == "P4CK"
		if summed := udp[6] != 0 || udp[7] != 0; summed && !steered && udpSum(f, udp) != 0xffff {
			a.unsound++
			continue
		}
		a.payloads = append(a.payloads, payload)
	}
	return a
}

func headerSum(ip []byte) uint16 {
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	return uint16(sum&0xffff + sum>>16)
}

// assemble adds a fragment, and returns the datagram when it is whole. Of two for the same place the first counts, ip_fragment.c.
func assemble(pending map[string]fragments, header, data []byte) []byte {
	key := string(header[4:6]) + string(header[12:20]) // identification and addresses
	word := binary.BigEndian.Uint16(header[6:])
	at := int(word&0x1fff) * 8
	parts := pending[key]
	if parts == nil {
		parts = fragments{}
		pending[key] = parts
	}
	if _, twice := parts[at]; !twice {
		parts[at] = fragment{data, word&0x2000 == 0}
	}
	var all []byte
	for {
		part, ok := parts[len(all)]
		if !ok {
			return nil
		}
		all = append(all, part.data...)
		if part.last {
			delete(pending, key)
			return all
		}
	}
}

// verdicts counts what the decoder makes of the arrivals.
func (a *arrivals) verdicts() (n [bin1.Verdicts]uint64) {
	var ev dialog.Event
	for _, p := range a.payloads {
		n[bin1.Decode(p, &ev)]++
	}
	return n
}

// call is what arrived of one dialog.
type arrivedCall struct {
	ended     bool
	snapshots []dialog.Details // live ones
}

// calls sorts the events that arrived by dialog. The rules of applying, written down without a table and without an order: a dialog
// is live if a snapshot of it came, and no end, and then it is what the snapshot said that is farthest. This holds as long as no
// key is used again, and nothing expires.
func (a *arrivals) calls() map[[3]string]*arrivedCall {
	calls := map[[3]string]*arrivedCall{}
	get := func(key [3]string) *arrivedCall {
		if calls[key] == nil {
			calls[key] = &arrivedCall{}
		}
		return calls[key]
	}
	for _, p := range a.payloads {
		var ev dialog.Event
		if bin1.Decode(p, &ev) != bin1.Dialog {
			continue
		}
		id, rest := ev.Key.Part()
		from, rest := rest.Part()
		to, _ := rest.Part()
		switch {
		case ev.Kind == dialog.Delete || ev.State == dialog.Ended:
			get([3]string{string(id), string(from), string(to)}).ended = true
			get([3]string{string(id), string(to), string(from)}).ended = true
		case ev.State.Live():
			c := get([3]string{string(id), string(from), string(to)})
			c.snapshots = append(c.snapshots, ev.Body.Details())
		}
	}
	return calls
}

// farthest are those of the snapshots that may be the last word: of the newest start, then of the highest state, and then, since
// an update moves it on, of the latest timeout.
func (c *arrivedCall) farthest() []dialog.Details {
	order := func(a, b dialog.Details) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.State, b.State), cmp.Compare(a.Timeout, b.Timeout))
	}
	top := slices.MaxFunc(c.snapshots, order)
	return slices.DeleteFunc(slices.Clone(c.snapshots), func(d dialog.Details) bool { return order(d, top) != 0 })
}

// compareLive compares what an appliance lists with what it must have by its arrivals, and returns how many dialogs are live.
func compareLive(t *testing.T, got []bin1test.Listed, a *arrivals) (live int) {
	t.Helper()
	calls := a.calls()
	listed := map[[3]string]bin1test.Listed{}
	for _, l := range got {
		key := [3]string{l.CallID, l.CallerTag}
		if len(l.Callees) > 0 {
			key[2] = l.Callees[0].Tag
		}
		listed[key] = l
	}
	var wrong []string
	for key, c := range calls {
		l, there := listed[key]
		delete(listed, key)
		switch must := !c.ended && len(c.snapshots) > 0; {
		case there && !must:
			wrong = append(wrong, fmt.Sprintf("%q is live: its end arrived, or nothing that says so", key))
		case must && !there:
			wrong = append(wrong, fmt.Sprintf("%q is missing", key))
		case must:
			live++
			if !slices.ContainsFunc(c.farthest(), func(d dialog.Details) bool {
				return len(bin1test.DiffListed([]bin1test.Listed{l}, []bin1test.Listed{bin1test.ListedOf(d)})) == 0
			}) {
				wrong = append(wrong, fmt.Sprintf("%q is %+v, which no last word said", key, l))
			}
		}
	}
	for key := range listed {
		wrong = append(wrong, fmt.Sprintf("%q is live, and nothing of it arrived", key))
	}
	slices.Sort(wrong)
	for i, w := range wrong {
		if t.Error(w); i == 9 {
			t.Fatalf("and %d more", len(wrong)-10)
		}
	}
	return live
}
