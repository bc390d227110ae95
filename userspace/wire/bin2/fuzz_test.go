package bin2_test

import (
	"bytes"
	"testing"

	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// FuzzPacket: whatever comes in, nothing panics and nothing is read past its end. What decodes encodes to a message
// that decodes to the same, and to the same bytes but for flags that any number but 0 sets.
func FuzzPacket(f *testing.F) {
	for _, name := range vectorNames(f) {
		f.Add([]byte(vector(f, name)))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		input = input[:len(input):len(input)]
		n, err := bin2.Next(input)
		if n < 0 || n > len(input) || n > 0 && (n < bin2.MinSize || err != nil) {
			t.Fatalf("length %d of %d, %v", n, len(input), err)
		}
		p, err := bin2.Parse(input[:n])
		if err != nil {
			return
		}
		before := bytes.Clone(p)
		p.Sender()
		bin2.OldTagActive(p)
		if trailer, ok := p.Trailer(); ok && len(p.Body())+28+len(p.Name()) != len(p) && !trailer.Bridged() {
			t.Fatalf("a body of %d bytes in a packet of %d", len(p.Body()), len(p))
		}
		var d bin2.Dialect
		if first, second := d.Observe(p), d.Observe(p); first && second {
			t.Fatal("one packet changes the dialect twice")
		}
		bin2.AppendPassedOn(nil, p, 1)
		m, numbering, err := bin2test.Decode(p, 0)
		if err != nil || m == nil {
			return
		}
		walk(m)
		dialect := bin2.Dialect{Numbering: numbering, SyncVersion: p.Version()}
		again, err := m.Append(nil, dialect)
		if err == bin2.TooLong {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		q, err := bin2.Parse(again)
		if err != nil {
			t.Fatal(err)
		}
		k := bin2test.New(kindOf(p))
		if err := k.Decode(q); err != nil {
			t.Fatalf("%+v reads again as %v", m, err)
		}
		if last, err := k.Append(nil, dialect); err != nil || !bytes.Equal(last, again) {
			t.Fatalf("%v\n%x\n%x", err, last, again)
		}
		if !bytes.Equal(before, p) {
			t.Fatal("the packet was written to")
		}
	})
}

// FuzzStream: a stream is cut into packets that follow each other, however it is split.
func FuzzStream(f *testing.F) {
	var stream []byte
	for _, name := range vectorNames(f)[:6] {
		stream = append(stream, vector(f, name)...)
	}
	f.Add(stream, uint16(7))
	f.Add(stream[:50], uint16(1))
	f.Fuzz(func(t *testing.T, stream []byte, step uint16) {
		whole := cut(stream, len(stream)+1)
		if split := cut(stream, int(step)+1); split != whole {
			t.Fatalf("in steps of %d: %v, at once: %v", step, split, whole)
		}
	})
}

type result struct {
	packets, bytes int
	failed         bool
}

// cut reads a stream step bytes at a time.
func cut(stream []byte, step int) (r result) {
	for have := 0; ; {
		n, err := bin2.Next(stream[r.bytes:have])
		switch {
		case err != nil:
			r.failed = true
			return r
		case n > 0:
			r.packets++
			r.bytes += n
		case have == len(stream):
			return r
		default:
			have = min(have+step, len(stream))
		}
	}
}

func kindOf(p bin2.Packet) bin2.Kind {
	k, _, _ := bin2.KindOf(p, 0)
	return k
}

// walk looks at every item of the lists of a message.
func walk(m bin2test.Message) (sum int) {
	switch m := m.(type) {
	case *bin2.Topology:
		for e := range m.Nodes.All() {
			for i := range e.Neighbours.Len() {
				sum += int(e.Neighbours.At(i))
			}
		}
	case *bin2.CapUpdate:
		for node := range m.Nodes.All() {
			for c := range node.Caps.All() {
				sum += len(c.Name)
			}
		}
	case *bin2.Command:
		for param := range m.Params.All() {
			sum += len(param)
		}
	}
	return sum
}
