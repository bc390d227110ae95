package engine

import (
	"testing"

	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/arrival"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestWhatArrivedIsCountedBySource: plain events of one source, whatever worker took them and whatever became of them. A question is no event
// and makes nobody a source; it is heard.
func TestWhatArrivedIsCountedBySource(t *testing.T) {
	var heard []arrival.Message
	r := newRig(t, 2, func(c *Config) {
		c.Hear = func(p *packets.Packet) {
			if m, ok := arrival.Parse(p.Payload); ok {
				heard = append(heard, m)
			}
		}
	})
	r.start(t)
	question := arrival.Message{Nonce: 42}
	proxy := bin1test.NewProxy(3, bin1test.Realistic(testNow, 30))
	var sent arrival.Count
	for i := range 100 {
		packet := proxy.AppendPacket(nil, uint64(i%50), bin1test.Create) // each comes twice
		sent.Add(packet)
		r.sources[i%2].Feed(from("192.0.2.7:5555", 0, packet), from("192.0.2.8:5555", 0, []byte("no BIN")))
	}
	r.sources[1].Feed(from("192.0.2.9:5555", 0, question.Append(nil)))
	s := r.finish(t)
	mine := from("192.0.2.7:5555", 0, nil)
	if got, ok := r.Arrived(mine.Sender); !ok || got != sent {
		t.Errorf("%+v, %t; want %+v", got, ok, sent)
	}
	asker := from("192.0.2.9:5555", 0, nil)
	if got, ok := r.Arrived(asker.Sender); !ok || got != (arrival.Count{}) {
		t.Errorf("of one that only asked: %+v, %t", got, ok)
	}
	if len(heard) != 1 || heard[0] != question {
		t.Errorf("heard %+v", heard)
	}
	for _, src := range s.Sources {
		if src.Sender == asker.Sender {
			t.Errorf("a question made a source of %s", src.Sender)
		}
	}
	total := s.Total()
	if total.Sum() != total.Received || s.Capabilities[arrival.Capability] != 1 {
		t.Errorf("the account doesn't add up: %+v, %v", total, s.Capabilities)
	}
}
