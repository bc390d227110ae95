package egress_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin2"
)

// call2 is a call of generation 2, of which a node tells.
type call2 struct {
	t      *testing.T
	fields layout.Fields
}

func newCall2(t *testing.T) *call2 {
	c := &call2{t: t}
	layouttest.Fill(rand.New(rand.NewPCG(1, 2)), layout.Bin4Typed, &c.fields)
	c.fields.Strings[layout.CallID], c.fields.Numbers[layout.State] = []byte("c"), uint32(dialog.Confirmed)
	c.fields.Strings[layout.CallerCSeq], c.fields.Strings[layout.CalleeCSeq] = []byte("1"), []byte("1")
	c.fields.Numbers[layout.CallerGenCSeq] = 0
	c.fields.Numbers[layout.Timeout] = 1 << 31
	return c
}

func (c *call2) packet(kind layout.Kind, body []byte, fault layout.Fault) []byte {
	number, ok := kind.Number(4)
	if fault != layout.NoFault || !ok {
		c.t.Fatal(kind, fault)
	}
	w := bin2.Begin(nil, 4, "dialog-dlg-repl", number)
	w.Raw(body)
	p, err := w.EndTrailer(bin2.Trailer{Cluster: 1, Source: 2, Destination: 3})
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// snapshot, value, cseq and end are messages, each of which says something new.
func (c *call2) snapshot(n int) []byte {
	c.fields.Strings[layout.CallerContact] = fmt.Appendf(nil, "sip:%d", n)
	body, fault := c.fields.Append(nil, layout.Bin4Typed)
	return c.packet(layout.Updated, body, fault)
}

func (c *call2) value(n int) []byte {
	m := layout.ValueChange{
		CallID: []byte("c"), HID: c.fields.Numbers[layout.HID], Name: fmt.Appendf(nil, "v%d", n%3), Type: layout.Text, Text: fmt.Append(nil, n),
	}
	body, fault := m.Append(nil, 4)
	return c.packet(layout.Value, body, fault)
}

func (c *call2) cseq(n int) []byte {
	m := layout.CSeqChange{
		CallID: []byte("c"), OtherTag: c.fields.Strings[layout.ToTag], Tag: c.fields.Strings[layout.FromTag], HID: c.fields.Numbers[layout.HID],
		HasHID: true, Number: uint32(n + 1),
	}
	body, fault := m.Append(nil, 4)
	return c.packet(layout.CSeq, body, fault)
}

func (c *call2) end() []byte {
	m := layout.Deletion{
		CallID: []byte("c"), FromTag: c.fields.Strings[layout.FromTag], ToTag: c.fields.Strings[layout.ToTag], HID: c.fields.Numbers[layout.HID], HasHID: true,
	}
	body, fault := m.Append(nil, 4)
	return c.packet(layout.Deleted, body, fault)
}

func (s *site) node(to int, payload []byte) {
	s.feed(to, packets.EndpointOf(netip.MustParseAddrPort("198.51.100.1:5555")), payload)
}

// bodies returns what each appliance has of the call, however it came there.
func (s *site) bodies() (list []string) {
	for _, m := range s.members {
		held := "nothing"
		m.table.Get(packets.Steering{}.CallID([]byte("c")), []byte("c"), func(v *dialog.View) bool {
			held = fmt.Sprintf("%v %v %q", v.State(), v.Layout(), v.Body())
			return true
		})
		list = append(list, held)
	}
	return list
}

// TestEachLinkCarriesEachEventOfGeneration2Once is TestEachLinkCarriesEachUpdateOnce for snapshots, values, CSeqs and the end of a
// call of generation 2.
func TestEachLinkCarriesEachEventOfGeneration2Once(t *testing.T) {
	for _, c := range topologies() {
		for _, events := range []int{1, 5, 100, 1000} {
			if c.tooMany(events) || events == 1000 && c.name == "mesh" && os.Getenv("BINREPD_CHAOS") != "1" {
				continue
			}
			for _, lossy := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s of %d, %d events, lossy %v", c.name, c.n, events, lossy), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := newSite(t, c.n, c.links)
						defer s.close()
						s.run(time.Second) // until they know each other
						s.lossy = lossy
						call := newCall2(t)
						for i := range events {
							make := []func(int) []byte{call.snapshot, call.value, call.cseq}[s.rng.IntN(3)]
							s.node(s.rng.IntN(c.n), make(i))
							if s.rng.IntN(10) == 0 {
								s.run(time.Millisecond)
							}
						}
						s.run(5 * time.Second)
						s.once()
						s.node(s.rng.IntN(c.n), call.end())
						s.run(5 * time.Second)
						s.once()
						held := s.bodies()
						if !lossy && len(slices.Compact(slices.Clone(held))) != 1 {
							t.Errorf("they end with %q", held)
						}
					})
				})
			}
		}
	}
}
