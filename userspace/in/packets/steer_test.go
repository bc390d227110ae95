package packets

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// slowSipHash is SipHash-c-d step by step after section 2 of the paper, written without regard to steer.go.
func slowSipHash(c, d int, k0, k1 uint64, message []byte) uint64 {
	v := [4]uint64{
		k0 ^ binary.BigEndian.Uint64([]byte("somepseu")), k1 ^ binary.BigEndian.Uint64([]byte("dorandom")),
		k0 ^ binary.BigEndian.Uint64([]byte("lygenera")), k1 ^ binary.BigEndian.Uint64([]byte("tedbytes")),
	}
	halfRound := func(a, b, c, d, s, t int) {
		v[a] += v[b]
		v[c] += v[d]
		v[b] = bits.RotateLeft64(v[b], s) ^ v[a]
		v[d] = bits.RotateLeft64(v[d], t) ^ v[c]
		v[a] = bits.RotateLeft64(v[a], 32)
	}
	rounds := func(n int) {
		for range n {
			halfRound(0, 1, 2, 3, 13, 16)
			halfRound(2, 1, 0, 3, 17, 21)
		}
	}
	padded := append(bytes.Clone(message), make([]byte, 7-len(message)%8)...)
	padded = append(padded, byte(len(message)))
	for ; len(padded) > 0; padded = padded[8:] {
		word := binary.LittleEndian.Uint64(padded)
		v[3] ^= word
		rounds(c)
		v[0] ^= word
	}
	v[2] ^= 0xff
	rounds(d)
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

// counting returns the bytes 0, 1, 2 ..., the message of all published vectors.
func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// The key of the published vectors, 00 01 02 ... 0f.
const countingK0, countingK1 = 0x0706050403020100, 0x0f0e0d0c0b0a0908

// lowHalves are the lower 32 bits of SipHash-1-3 of 0, 1, 2 ... bytes under the counting key, out of the author's reference
// program as the Linux kernel's self-test has them (lib/test_siphash.c, hsiphash on 64-bit machines).
var lowHalves = [...]uint32{
	0x050fc4dc, 0x7d57ca93, 0x4dc7d44d, 0xe7ddf7fb, 0x88d38328, 0x49533b67, 0xc59f22a7, 0x9bb11140, 0x8d299a8e,
	0x6c063de4, 0x92ff097f, 0xf94dc352, 0x57b4d9a2, 0x1229ffa7, 0xc0f95d34, 0x2a519956, 0x7d908b66,
}

func TestSlowSipHashAgainstPublishedVectors(t *testing.T) {
	// The paper's own example, appendix A.
	if got := slowSipHash(2, 4, countingK0, countingK1, counting(15)); got != 0xa129ca6149be45e5 {
		t.Errorf("SipHash-2-4 of the paper's example is %#x", got)
	}
	// SipHash-1-3 of nothing under the key 0, out of the reference program as the test suite of OCaml has it.
	if got := slowSipHash(1, 3, 0, 0, nil); got != 0xd1fba762150c532c {
		t.Errorf("SipHash-1-3 of nothing is %#x", got)
	}
	for n, want := range lowHalves {
		if got := uint32(slowSipHash(1, 3, countingK0, countingK1, counting(n))); got != want {
			t.Errorf("SipHash-1-3 of %d bytes ends in %#x, want %#x", n, got, want)
		}
	}
}

func fold(h uint64) uint32 { return uint32(h) ^ uint32(h>>32) }

func TestSumIsSipHash13(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for n := range MaxSteeringKey + 1 {
		for range 4 {
			s := Steering{r.Uint64(), r.Uint64()}
			key := make([]byte, n)
			for i := range key {
				key[i] = byte(r.Uint32())
			}
			if got, want := s.sum(key), fold(slowSipHash(1, 3, s.K0, s.K1, key)); got != want {
				t.Fatalf("%d bytes %x under %x: %#x, want %#x", n, key, s, got, want)
			}
		}
	}
}

// str is a string field: its length and its bytes.
func str(s string) string {
	return string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// packet is a BIN packet as far as steering looks: the checksum is of no concern.
func packet(capability string, fields ...string) []byte {
	return []byte("P4CK\xff\xff\xff\xff" + str(capability) + "\x01\x00\x00\x00" + strings.Join(fields, ""))
}

func unhex(digits string) []byte {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return b
}

func TestSteeringKey(t *testing.T) {
	long := strings.Repeat("0123456789", 30)
	huge := "\xff\xff\xff\xff"
	for name, c := range map[string]struct {
		payload []byte
		want    string // "" for none
	}{
		// Two packets of a real OpenSIPS 1.11: a deletion and an address of record.
		"real dialog": {unhex("5034434bf726cfa7060000006469616c6f670300000011000000312d3238373934403132372e302e302e310f0000003238373934534950" +
			"705461673030310f000000323837393253495070546167303131"), "1-28794@127.0.0.1"},
		"real registration": {unhex("5034434be3df5a5d02000000756c01000000080000006c6f636174696f6e06000000616c69636530"), "alice0"},

		"dialog":                        {packet("dialog", str("call"), str("from")), "call"},
		"Call-ID and no more":           {packet("dialog", str("call")), "call"},
		"one byte":                      {packet("dialog", str("c")), "c"},
		"any bytes":                     {packet("dialog", str("\x00\xff")), "\x00\xff"},
		"256 bytes":                     {packet("dialog", str(long[:256]), str("from")), long[:256]},
		"257 bytes":                     {packet("dialog", str(long[:257]), str("from")), long[:256]},
		"300 bytes":                     {packet("dialog", str(long)), long[:256]},
		"empty Call-ID":                 {packet("dialog", str(""), str("from")), ""},
		"Call-ID past the end":          {packet("dialog", "\x05\x00\x00\x00call"), ""},
		"huge Call-ID":                  {packet("dialog", huge+"call"), ""},
		"no fields":                     {packet("dialog"), ""},
		"half a length":                 {packet("dialog", "\x04\x00"), ""},
		"no command":                    {[]byte("P4CK\xff\xff\xff\xff" + str("dialog")), ""},
		"registration":                  {packet("ul", str("location"), str("alice"), str("more")), "alice"},
		"registration, empty domain":    {packet("ul", str(""), str("alice")), "alice"},
		"registration, no record":       {packet("ul", str("location"), str(""), str("more")), ""},
		"registration, domain only":     {packet("ul", str("location")), ""},
		"registration, huge domain":     {packet("ul", huge, str("alice")), ""},
		"registration, huge record":     {packet("ul", str("location"), huge+"alice"), ""},
		"registration, long record":     {packet("ul", str(long), str(long)), long[:256]},
		"another capability":            {packet("clusterer", str("call"), str("from")), ""},
		"another of six letters":        {packet("Dialog", str("call"), str("from")), ""},
		"another of two letters":        {packet("uL", str("location"), str("alice")), ""},
		"dialog, said to have seven":    {packet("dialog\x00", str("call")), ""},
		"big endian":                    {[]byte("P4CK\xff\xff\xff\xff\x00\x00\x00\x06dialog\x00\x00\x00\x01\x00\x00\x00\x04call"), ""},
		"nothing":                       {nil, ""},
		"marker":                        {[]byte("P4CK"), ""},
		"name cut short":                {[]byte("P4CK\xff\xff\xff\xff\x06\x00\x00\x00dialo"), ""},
		"a wrong marker doesn't matter": {append([]byte("P5CK"), packet("dialog", str("call"))[4:]...), "call"},
	} {
		got := SteeringKey(c.payload)
		if string(got) != c.want || (got == nil) != (c.want == "") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// str2 is a string field of generation 2.
func str2(s string) string {
	return string(binary.LittleEndian.AppendUint16(nil, uint16(len(s)))) + s
}

// packet2 is a packet of generation 2 as far as steering looks: the size is of no concern.
func packet2(capability string, version byte, kind uint32, fields ...string) []byte {
	b := []byte("P4CK\xff\xff\xff\xff" + string([]byte{version, 0}) + str2(capability))
	return append(binary.LittleEndian.AppendUint32(b, kind), strings.Join(fields, "")...)
}

func TestSteeringKeyOfGeneration2(t *testing.T) {
	const dialogs, contacts = "dialog-dlg-repl", "usrloc-contact-repl"
	long := strings.Repeat("0123456789", 30)
	for name, c := range map[string]struct {
		payload []byte
		want    string // "" for none
	}{
		// Packets of real clusters: a value and a deletion of OpenSIPS 3.6, a CSeq and a tag of 2.4, and a contact of each.
		"real value": {unhex("5034434b5600000004000f006469616c6f672d646c672d7265706c050000001000312d323735374031302e39382e302e31c2dae80d0a" +
			"00646c67585f7368746167010000000300766970010000000100000003000000"), "1-2757@10.98.0.1"},
		"real deletion": {unhex("5034434b6100000004000f006469616c6f672d646c672d7265706c030000001000312d323736354031302e39382e302e310e003237" +
			"3635534950705461673030310e0032363333534950705461673031329bd96929010000000100000003000000"), "1-2765@10.98.0.1"},
		"real CSeq": {unhex("5034434b6400000001000f006469616c6f672d646c672d7265706c050000001100312d32373731394031302e39382e302e310f00323537" +
			"30534950705461673031310f0032373731395349507054616730303101000000010000000100000003000000"), "1-27719@10.98.0.1"},
		"real tag": {unhex("5034434b3000000001000f006469616c6f672d646c672d7265706c040000000300766970010000000100000003000000"), "vip"},
		"real AoR": {unhex("5034434b48000000050013007573726c6f632d636f6e746163742d7265706c0100000008006c6f636174696f6e0300726130000000007c" +
			"1d00000000010000000100000003000000"), "ra0"},
		"real contact of 2.4": {unhex("5034434b6d000000020013007573726c6f632d636f6e746163742d7265706c0500000008006c6f636174696f6e0300726330" +
			"16007369703a7263304031302e39382e302e313a353130321100312d32373639394031302e39382e302e3101000000010000000100000003000000"), "rc0"},

		"dialog":                    {packet2(dialogs, 4, 1, str2("call"), str2("from")), "call"},
		"of 2.4":                    {packet2(dialogs, 1, 3, str2("call"), str2("from")), "call"},
		"of no version":             {packet2(dialogs, 0, 1, str2("call")), "call"},
		"value":                     {packet2(dialogs, 4, 5, str2("call"), "\x01\x02\x03\x04"), "call"},
		"with a stamp's type":       {packet2(dialogs, 5, 1+256, str2("call"), str2("from")), "call"},
		"one byte":                  {packet2(dialogs, 4, 1, str2("c")), "c"},
		"256 bytes":                 {packet2(dialogs, 4, 1, str2(long[:256]), str2("from")), long[:256]},
		"257 bytes":                 {packet2(dialogs, 4, 1, str2(long[:257]), str2("from")), long[:256]},
		"300 bytes":                 {packet2(dialogs, 4, 1, str2(long)), long[:256]},
		"empty Call-ID":             {packet2(dialogs, 4, 1, str2(""), str2("from")), ""},
		"Call-ID past the end":      {packet2(dialogs, 4, 1, "\x05\x00call"), ""},
		"longest Call-ID":           {packet2(dialogs, 4, 1, "\xff\xffcall"), ""},
		"no fields":                 {packet2(dialogs, 4, 1), ""},
		"half a length":             {packet2(dialogs, 4, 1, "\x04"), ""},
		"no type":                   {packet2(dialogs, 4, 1)[:12+15], ""},
		"AoR":                       {packet2(contacts, 5, 1, str2("location"), str2("alice"), "more"), "alice"},
		"contact":                   {packet2(contacts, 5, 3, str2("location"), str2("alice"), str2("sip:alice@10.0.0.9")), "alice"},
		"contact, empty domain":     {packet2(contacts, 2, 5, str2(""), str2("alice")), "alice"},
		"contact, empty AoR":        {packet2(contacts, 5, 5, str2("location"), str2(""), str2("more")), ""},
		"contact, no AoR":           {packet2(contacts, 5, 5, str2("location")), ""},
		"contact, domain past end":  {packet2(contacts, 5, 5, "\xff\xff", str2("alice")), ""},
		"contact, long AoR":         {packet2(contacts, 5, 5, str2(long), str2(long)), long[:256]},
		"profile":                   {packet2("dialog-prof-repl", 4, 4, str2("name")), ""},
		"cluster":                   {packet2("clusterer-internal", 1, 0, "\x01\x00\x00\x00\x02\x00\x00\x00"), ""},
		"sync":                      {packet2("clusterer-extra", 3, 11, str2(dialogs), str2("call")), ""},
		"another of 15 letters":     {packet2("dialog-dlg-repL", 4, 1, str2("call")), ""},
		"another of 19 letters":     {packet2("Usrloc-contact-repl", 4, 1, str2("location"), str2("alice")), ""},
		"name of generation 1":      {packet2("dialog", 4, 1, str2("call"), str2("from")), ""},
		"name of generation 2 in 1": {packet(dialogs, str("call"), str("from")), ""},
		"name cut short":            {packet2(dialogs, 4, 1)[:12+14], ""},
	} {
		got := SteeringKey(c.payload)
		if string(got) != c.want || (got == nil) != (c.want == "") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A key is read within the payload, not from what lies behind it in the same memory.
func TestSteeringKeyAtEveryLength(t *testing.T) {
	for name, whole := range map[string][]byte{
		"dialog": packet("dialog", str("call"), str("from")), "ul": packet("ul", str("location"), str("alice"), str("more")),
		"dialog-dlg-repl":     packet2("dialog-dlg-repl", 4, 1, str2("call"), str2("from")),
		"usrloc-contact-repl": packet2("usrloc-contact-repl", 5, 1, str2("location"), str2("alice"), str2("more")),
	} {
		for cut := range len(whole) + 1 {
			exact := append(make([]byte, 0, cut), whole[:cut]...)
			if got, want := SteeringKey(whole[:cut]), SteeringKey(exact[:cut:cut]); !bytes.Equal(got, want) {
				t.Errorf("%s of %d bytes: %q with more behind it, %q alone", name, cut, got, want)
			}
		}
	}
	// A first string that is refused is not looked for elsewhere, whatever stands in place of the marker.
	odd := packet("ul", "\xff\xff\xff\xff", str("alice"))
	copy(odd, "\x01\x00\x00\x00")
	if got := SteeringKey(odd); got != nil {
		t.Errorf("key %q out of nowhere", got)
	}
}

func TestHash(t *testing.T) {
	s := Steering{countingK0, countingK1}
	a, b := EndpointOf(netip.MustParseAddrPort("192.0.2.1:5555")), EndpointOf(netip.MustParseAddrPort("192.0.2.1:5556"))
	create, other := packet("dialog", str("call"), str("x")), packet("dialog", str("call"), str("yz"))
	if want := s.sum([]byte("call")); s.Hash(create, a) != want || s.Hash(other, b) != want {
		t.Error("one Call-ID has several hashes")
	}
	if (Steering{1, 2}).Hash(create, a) == s.Hash(create, a) {
		t.Error("the key doesn't matter")
	}
	// Without a Call-ID the source decides: address, then port in network order.
	odd := packet("other")
	want := s.sum(append(a.Addr[:], 5555>>8, 5555&0xff))
	if got := s.Hash(odd, a); got != want || s.Hash([]byte("anything else"), a) != want {
		t.Errorf("hash of the source is %#x, want %#x", got, want)
	}
	if s.Hash(odd, b) == want {
		t.Error("the port doesn't matter")
	}
	if n := testing.AllocsPerRun(100, func() { s.Hash(create, a); s.Hash(odd, b) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSpread(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 20_000 {
		rings, perRing := 1+r.IntN(64), 1+r.IntN(64)
		h := r.Uint32()
		if r.IntN(4) == 0 {
			h = []uint32{0, 1, 1 << 31, 1<<31 - 1, 1<<32 - 1}[r.IntN(5)]
		}
		ring, shard := Spread(h, rings), Spread(h, rings*perRing)
		if ring < 0 || ring >= rings {
			t.Fatalf("Spread(%#x, %d) = %d", h, rings, ring)
		}
		if shard/perRing != ring {
			t.Fatalf("hash %#x is in ring %d of %d but in shard %d of %d", h, ring, rings, shard, rings*perRing)
		}
		if next := Spread(h+1, rings); h < 1<<32-1 && next != ring && next != ring+1 {
			t.Fatalf("Spread(%#x, %d) = %d, and %d for the next hash", h, rings, ring, next)
		}
	}
	// Even: no number gets more than its share of all hashes, of which every 2^16th is tried here.
	for _, n := range []int{1, 2, 3, 7, 16, 100} {
		counts := make([]int, n)
		for i := range 1 << 16 {
			counts[Spread(uint32(i)<<16, n)]++
		}
		for i, c := range counts {
			if share := 1 << 16 / n; c < share || c > share+1 {
				t.Errorf("number %d of %d has %d hashes, want %d or one more", i, n, c, share)
			}
		}
	}
}

// slowSteeringKey reads like the rule: capability, command, strings. The generation is the one whose name fits.
func slowSteeringKey(payload []byte) string {
	text := func(b []byte, prefix int) (s, rest []byte, ok bool) {
		if len(b) < prefix {
			return nil, nil, false
		}
		n := 0
		for i := range prefix {
			n |= int(b[i]) << (8 * i)
		}
		if b = b[prefix:]; n > len(b) {
			return nil, nil, false
		}
		return b[:n], b[n:], true
	}
	for _, generation := range []struct {
		name, prefix int            // where the name is, and the size of a length
		fields       map[string]int // which string is the key
	}{
		{8, 4, map[string]int{"dialog": 1, "ul": 2}},
		{10, 2, map[string]int{"dialog-dlg-repl": 1, "usrloc-contact-repl": 2}},
	} {
		if len(payload) < generation.name {
			continue
		}
		name, rest, ok := text(payload[generation.name:], generation.prefix)
		if !ok || len(rest) < 4 {
			continue
		}
		rest = rest[4:]
		var key []byte
		for range generation.fields[string(name)] {
			if key, rest, ok = text(rest, generation.prefix); !ok {
				return ""
			}
		}
		if len(key) > 0 {
			return string(key[:min(len(key), MaxSteeringKey)])
		}
	}
	return ""
}

func FuzzSteeringKey(f *testing.F) {
	f.Add(packet("dialog", str("call"), str("from"), str("to")))
	f.Add(packet("ul", str("location"), str("alice")))
	f.Add(packet("ul", str("location"), "\xff\xff\xff\x7f"))
	f.Add(packet("dialog", str(strings.Repeat("c", 257))))
	f.Add(packet("other", str("x")))
	f.Add(packet2("dialog-dlg-repl", 4, 5, str2("call"), "\x01\x02\x03\x04"))
	f.Add(packet2("dialog-dlg-repl", 1, 1, "\xff\xffcall"))
	f.Add(packet2("usrloc-contact-repl", 5, 3, str2("location"), str2("alice")))
	f.Add([]byte("P4CK"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		got := SteeringKey(payload)
		if want := slowSteeringKey(payload); string(got) != want || got != nil && len(got) == 0 {
			t.Fatalf("%q: %q, want %q", payload, got, want)
		}
		Steering{1, 2}.Hash(payload, Endpoint{})
	})
}
