package bin2_test

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"binrepd/userspace/wire/bin2"
)

func TestNext(t *testing.T) {
	ping := vector(t, "ping")
	with := func(length uint32) []byte {
		b := append([]byte(nil), ping...)
		binary.LittleEndian.PutUint32(b[4:], length)
		return b
	}
	for _, test := range [...]struct {
		name string
		buf  []byte
		n    int
		err  error
	}{
		{"nothing", nil, 0, nil},
		{"first byte", ping[:1], 0, nil},
		{"marker", ping[:4], 0, nil},
		{"half a length", ping[:6], 0, nil},
		{"length", ping[:8], 0, nil},
		{"all but one byte", ping[:45], 0, nil},
		{"one packet", ping, 46, nil},
		{"one packet and more", append(append([]byte(nil), ping...), "junk"...), 46, nil},
		{"wrong first byte", []byte("X"), 0, bin2.BadMarker},
		{"wrong marker", []byte("P4CX"), 0, bin2.BadMarker},
		{"text", []byte("GET / HTTP/1.1\r\n"), 0, bin2.BadMarker},
		{"length 0", with(0), 0, bin2.BadLength},
		{"length 16", with(16), 0, bin2.BadLength},
		{"length 17", with(17), 17, nil},
		{"length 65535", with(65535), 0, nil},
		{"length 65537", with(65537), 0, bin2.BadLength},
		{"length 4 GiB", with(math.MaxUint32), 0, bin2.BadLength},
		{"big endian", with(46 << 24), 0, bin2.BigEndian},
		{"big endian 300", with(300&0xff<<24 | 300>>8<<16), 0, bin2.BigEndian},
	} {
		if n, err := bin2.Next(test.buf); n != test.n || err != test.err {
			t.Errorf("%s: %d, %v, want %d, %v", test.name, n, err, test.n, test.err)
		}
	}
	if n := bin2.Wanted(ping[:8]); n != 46 {
		t.Errorf("%d bytes wanted", n)
	}
	if n := bin2.Wanted(ping[:7]); n != 0 {
		t.Errorf("%d bytes wanted after 7", n)
	}
}

func TestParseRefuses(t *testing.T) {
	// packet returns a packet with a name of that length and rest bytes behind the type.
	packet := func(name, rest int) []byte {
		b := make([]byte, 16+name+rest)
		copy(b, "P4CK")
		binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
		binary.LittleEndian.PutUint16(b[10:], uint16(name))
		for i := range name {
			b[12+i] = 'n'
		}
		return b
	}
	nameTooLong := packet(5, 12)
	binary.LittleEndian.PutUint16(nameTooLong[10:], 60000)
	nameIntoType := packet(5, 0)
	binary.LittleEndian.PutUint16(nameIntoType[10:], 6)
	bridged := packet(5, 12)
	binary.LittleEndian.PutUint32(bridged[len(bridged)-4:], 0xC0000000)
	for _, test := range [...]struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, bin2.BadMarker},
		{"other marker", make([]byte, 20), bin2.BadMarker},
		{"cut", packet(5, 12)[:20], bin2.BadLength},
		{"one byte more", append(packet(5, 12), 0), bin2.BadLength},
		{"too long", packet(5, 65535), bin2.BadLength},
		{"no name", packet(0, 20), bin2.BadName},
		{"name too long", nameTooLong, bin2.BadName},
		{"name into the type", nameIntoType, bin2.BadName},
		{"no trailer", packet(5, 11), bin2.NoTrailer},
		{"bridged without a cluster", bridged, bin2.NoTrailer},
		{"empty body", packet(5, 12), nil},
	} {
		p, err := bin2.Parse(test.b)
		if err != test.want {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if (err == nil) != (p != nil) {
			t.Errorf("%s: packet %x with %v", test.name, []byte(p), err)
		}
	}
}

// TestBridged reads a packet that comes from another cluster.
func TestBridged(t *testing.T) {
	w := bin2.Begin(nil, 1, "ratelimit-pipe-repl", 10)
	w.Text("pipe")
	w.Int(5) // the source cluster
	b, err := w.EndTrailer(bin2.Trailer{Cluster: 2, Source: 7, Destination: bin2.BridgeDestination})
	if err != nil {
		t.Fatal(err)
	}
	p, err := bin2.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	trailer, _ := p.Trailer()
	if !trailer.Bridged() || trailer.Source != 7 || len(p.Body()) != 6 || string(p.Body()[2:]) != "pipe" {
		t.Errorf("%+v, body %q", trailer, p.Body())
	}
}

func TestFaultsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for f := range bin2.Faults {
		if f.Error() == "" || seen[f.String()] {
			t.Errorf("fault %d is %q", f, f.Error())
		}
		seen[f.String()] = true
	}
	var f bin2.Fault
	_, err := bin2.Next([]byte("x"))
	if !errors.As(err, &f) || f != bin2.BadMarker {
		t.Errorf("%v is no fault", err)
	}
	for k := range bin2.Kinds {
		if k.String() == "" || seen[k.String()] {
			t.Errorf("kind %d is %q", k, k)
		}
		seen[k.String()] = true
	}
	for c := bin2.OtherCapability + 1; c < bin2.Capabilities; c++ {
		if bin2.CapabilityOf([]byte(c.String())) != c {
			t.Errorf("capability %d is %q, which reads as another one", c, c)
		}
	}
	if c := bin2.CapabilityOf([]byte("dialog")); c != bin2.OtherCapability {
		t.Errorf("the capability of generation 1 reads as %q", c)
	}
}

func TestWriterRefusesWhatIsTooLong(t *testing.T) {
	before := []byte("before")
	for name, long := range map[string]func(*bin2.Writer){
		"packet": func(w *bin2.Writer) { w.Raw(make([]byte, bin2.MaxSent-20)) },
		"string": func(w *bin2.Writer) { w.Str(make([]byte, 65536)) },
		"text":   func(w *bin2.Writer) { w.Text(string(make([]byte, 65536))) },
	} {
		w := bin2.Begin(before, 1, "a", 1)
		w.Int(1)
		long(&w)
		if b, err := w.End(); err != bin2.TooLong || string(b) != "before" {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	w := bin2.Begin(nil, 1, "a", 1)
	w.Raw(make([]byte, bin2.MaxSent-17))
	b, err := w.End()
	if n, wrong := bin2.Next(b); err != nil || wrong != nil || n != bin2.MaxSent {
		t.Errorf("longest packet: %v, %d, %v", err, n, wrong)
	}
}
