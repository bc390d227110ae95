package layouttest

import (
	"fmt"
	"math/rand/v2"

	"binrepd/dialog/layout"
)

// Layouts returns all layouts.
func Layouts() (ids []layout.ID) {
	for id := layout.UDP; id < layout.IDs; id++ {
		ids = append(ids, id)
	}
	return ids
}

// Dialog returns a random dialog in the layout, which every parser must accept. Its strings hold odd bytes now and
// then, its lists are well-formed and may be empty, its state is 3 or 4.
func Dialog(rng *rand.Rand, id layout.ID) []byte {
	var f layout.Fields
	Fill(rng, id, &f)
	body, fault := f.Append(nil, id)
	if fault != layout.NoFault {
		panic(fmt.Sprintf("random dialog in %v: %v", id, fault))
	}
	return body
}

// Fill sets f to a random dialog. Fields that the layout id doesn't have are empty or 0.
func Fill(rng *rand.Rand, id layout.ID, f *layout.Fields) {
	*f = layout.Fields{}
	set := id.Fields()
	for i, rest := set.Next(); i < layout.NumFields; i, rest = rest.Next() {
		if i.IsNumber() {
			f.Numbers[i] = number(rng, i)
		} else {
			f.Strings[i] = text(rng, i, id)
		}
	}
}

func number(rng *rand.Rand, f layout.Field) uint32 {
	switch f {
	case layout.State:
		return 3 + rng.Uint32N(2)
	case layout.Start, layout.Timeout:
		return 1_795_000_000 + rng.Uint32N(1_000_000)
	case layout.HID:
		return rng.Uint32()
	case layout.Flags:
		return 1<<4 | rng.Uint32()&(1<<3|1<<5|1<<6|1<<15)
	case layout.OptionsPing, layout.ReinvitePing, layout.CallerGenCSeq, layout.CalleeGenCSeq:
		return rng.Uint32N(100)
	}
	return rng.Uint32() >> rng.UintN(32)
}

func text(rng *rand.Rand, f layout.Field, id layout.ID) []byte {
	n := rng.Uint32()
	switch f {
	case layout.CallID:
		return odd(rng, fmt.Sprintf("%08x-%d@192.0.2.%d", n, rng.IntN(1000), rng.IntN(256)))
	case layout.FromTag:
		return fmt.Appendf(nil, "from-%x", n)
	case layout.ToTag:
		return fmt.Appendf(nil, "to-%x", n)
	case layout.FromURI, layout.ToURI:
		return odd(rng, fmt.Sprintf("sip:user%d@example.org", n%10_000))
	case layout.CallerSocket, layout.CalleeSocket:
		if id >= layout.Bin1FourSDP && rng.IntN(5) == 0 {
			return []byte("udp:edge")
		}
		return fmt.Appendf(nil, "udp:192.0.2.%d:5060", n%4)
	case layout.CallerCSeq, layout.CalleeCSeq:
		return fmt.Append(nil, n%1000)
	case layout.CallerRouteSet, layout.CalleeRouteSet:
		return routes(rng)
	case layout.CallerContact, layout.CalleeContact:
		return odd(rng, fmt.Sprintf("sip:user%d@192.0.2.9:5080;transport=udp", n%10_000))
	case layout.Values, layout.Profiles:
		return list(rng, f, id.Typed())
	case layout.CallerSDP, layout.CalleeSDP:
		return fmt.Appendf(nil, "v=0\r\no=u %d 1 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n", n, n%60_000)
	}
	if rng.IntN(3) > 0 {
		return nil
	}
	return odd(rng, fmt.Sprintf("%v-%d", f, n%1000))
}

// odd puts bytes into one string in ten that are special somewhere.
func odd(rng *rand.Rand, s string) []byte {
	b := []byte(s)
	if rng.IntN(10) == 0 {
		const bytes = "|#\\\"\x00\n\x7f\xe9\xff"
		b = append(b, bytes[rng.IntN(len(bytes)):]...)
	}
	return b
}

func routes(rng *rand.Rand) (set []byte) {
	if rng.IntN(3) > 0 {
		return nil
	}
	for i := range rng.IntN(5) {
		if i > 0 {
			set = append(set, ',')
		}
		set = fmt.Appendf(set, "<sip:edge-%d.example.net;lr;x=%d>", i, rng.IntN(100))
	}
	return set
}

func list(rng *rand.Rand, f layout.Field, typed bool) (l []byte) {
	if f == layout.Profiles {
		for i := range rng.IntN(3) {
			name := fmt.Appendf(nil, "profile%d%s", i, [...]string{"", "", "/s", "/b"}[rng.IntN(4)])
			l = layout.AppendPair(l, typed, name, [][]byte{nil, odd(rng, "gw1")}[rng.IntN(2)])
		}
		return l
	}
	if rng.IntN(2) > 0 {
		l = layout.AppendPair(l, typed, []byte(layout.TagName), []byte("vip"))
	}
	for i := range rng.IntN(4) {
		name := fmt.Appendf(nil, "value%d", i)
		if typed && rng.IntN(3) == 0 {
			l = layout.AppendIntPair(l, typed, odd(rng, string(name)), int32(rng.Uint32()))
		} else {
			l = layout.AppendPair(l, typed, odd(rng, string(name)), odd(rng, "content"))
		}
	}
	return l
}
