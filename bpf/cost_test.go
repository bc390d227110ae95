package bpf_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/ring"
)

// BenchmarkCost compares the cost of the program for a packet of a real sender with programs that do less. The kernel
// itself measures the nanoseconds. drop only drops. copy_drop copies the payload to a fixed place and drops. ring_drop
// copies it to a record of a ring buffer, which is memory that is never in the cache. pass_other is the program on
// traffic that is not for it. binrepd_allow has a list of 16 sources, and binrepd_rate a bucket for each source. denied
// and rate_limited are the cost of refusing a packet.
//
//	go test -run '^$' -bench Cost ./bpf
func BenchmarkCost(b *testing.B) {
	frame := middleFrame(b)
	payload := len(frame) - 42
	b.Run("drop", func(b *testing.B) { benchmarkOther(b, frame, dropOnly()) })
	b.Run("copy_drop", func(b *testing.B) { benchmarkOther(b, frame, copyDrop(b, payload)) })
	b.Run("ring_drop", func(b *testing.B) { benchmarkRing(b, frame, payload) })
	b.Run("pass_other", func(b *testing.B) {
		other := bpftest.Frame{From: netip.MustParseAddrPort("10.99.0.1:53"), To: netip.MustParseAddrPort("10.99.0.2:53"), Payload: make([]byte, payload)}
		p := load(b, bpf.Config{Listeners: []netip.AddrPort{netip.MustParseAddrPort("10.99.0.2:5556")}})
		benchmarkRun(b, p.XDP(), other.Bytes(), xdpPass, nil)
	})
	one := bpf.Config{Rings: 1, RingSize: benchmarkRingSize, Listeners: []netip.AddrPort{netip.MustParseAddrPort("10.99.0.2:5556")}}
	b.Run("binrepd", func(b *testing.B) { benchmarkProgram(b, load(b, one), frame) })
	b.Run("binrepd_allow", func(b *testing.B) {
		p := load(b, one)
		var list []netip.Prefix
		for i := range byte(16) {
			list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 99, 0, i}), 32))
		}
		if err := p.Allow(list); err != nil {
			b.Fatal(err)
		}
		benchmarkProgram(b, p, frame)
	})
	b.Run("binrepd_rate", func(b *testing.B) {
		limited := one
		limited.Rate, limited.Burst = bpf.MaxRate, 1<<30
		benchmarkProgram(b, load(b, limited), frame)
	})
	b.Run("denied", func(b *testing.B) {
		p := load(b, one)
		if err := p.Allow([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}); err != nil {
			b.Fatal(err)
		}
		benchmarkRun(b, p.XDP(), frame, xdpDrop, nil)
	})
	b.Run("rate_limited", func(b *testing.B) {
		limited := one
		limited.Rate, limited.Burst = 1, 1
		benchmarkRun(b, load(b, limited).XDP(), frame, xdpDrop, nil)
	})
}

// benchmarkProgram runs the whole program, with a consumer on its only ring.
func benchmarkProgram(b *testing.B, p *bpf.Program, frame []byte) {
	src, err := ring.Open(p, 0, ring.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	batch := packets.NewBatch(512)
	benchmarkRun(b, p.XDP(), frame, xdpDrop, func(n int) {
		for n > 0 {
			if err := src.Receive(batch); err != nil {
				b.Fatal(err)
			}
			n -= len(batch.Packets)
			src.Release(batch)
		}
	})
}

// perCall is how many frames one system call runs through the program. They fit into the ring, and the ring doesn't fit
// into a cache.
const (
	perCall           = 8192
	benchmarkRingSize = 16 << 20
)

func benchmarkRun(b *testing.B, program *ebpf.Program, frame []byte, want uint32, drain func(int)) {
	var calls []time.Duration
	for b.Loop() {
		answer, each, err := program.Benchmark(frame, perCall, nil)
		if err != nil || answer != want {
			b.Fatalf("answer %d, %v", answer, err)
		}
		calls = append(calls, each)
		if drain != nil {
			drain(perCall)
		}
	}
	slices.Sort(calls) // take the median: other work on the machine makes some calls several times as long
	b.ReportMetric(float64(calls[len(calls)/2].Nanoseconds()), "ns/frame")
	b.ReportMetric(0, "ns/op")
}

func benchmarkOther(b *testing.B, frame []byte, instructions asm.Instructions) {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: instructions})
	if err != nil {
		b.Fatal(err)
	}
	defer program.Close()
	benchmarkRun(b, program, frame, xdpDrop, nil)
}

func dropOnly() asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, xdpDrop), asm.Return()}
}

// copyDrop copies size bytes of payload to a map.
func copyDrop(b *testing.B, size int) asm.Instructions {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: uint32(size), MaxEntries: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close() })
	return asm.Instructions{
		asm.LoadMapValue(asm.R3, m.FD(), 0),
		asm.Mov.Imm(asm.R2, 42),
		asm.Mov.Imm(asm.R4, int32(size)),
		asm.FnXdpLoadBytes.Call(),
		asm.Mov.Imm(asm.R0, xdpDrop),
		asm.Return(),
	}
}

// benchmarkRing runs a minimal program that puts size bytes of payload, and room for a header, into a ring.
func benchmarkRing(b *testing.B, frame []byte, size int) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: benchmarkRingSize})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	reader, err := ringbuf.NewReader(m)
	if err != nil {
		b.Fatal(err)
	}
	defer reader.Close()
	reader.SetDeadline(time.Unix(1, 0))
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.Mov.Imm(asm.R2, int32(bpf.RecordHeader+size)),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRingbufReserve.Call(),
		asm.JEq.Imm(asm.R0, 0, "full"),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, 42),
		asm.Mov.Reg(asm.R3, asm.R7),
		asm.Add.Imm(asm.R3, int32(bpf.RecordHeader)),
		asm.Mov.Imm(asm.R4, int32(size)),
		asm.FnXdpLoadBytes.Call(),
		asm.Mov.Reg(asm.R1, asm.R7),
		asm.Mov.Imm(asm.R2, 1), // BPF_RB_NO_WAKEUP
		asm.FnRingbufSubmit.Call(),
		asm.Mov.Imm(asm.R0, xdpDrop),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("full"),
		asm.Return(),
	}})
	if err != nil {
		b.Fatalf("%+v", err)
	}
	defer program.Close()
	benchmarkRun(b, program, frame, xdpDrop, func(n int) {
		var record ringbuf.Record
		for range n {
			if err := reader.ReadInto(&record); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// middleFrame returns the steered frame of median length of a capture.
func middleFrame(b testing.TB) []byte {
	frames := bpftest.Capture(b, "opensips-1.11.pcap")
	counts := make(map[int]int)
	var whole [][]byte
	for _, f := range frames {
		if f[20]&0x3f == 0 && f[21] == 0 { // not a fragment
			whole = append(whole, f)
			counts[len(f)]++
		}
	}
	at := len(whole) / 2
	var median []byte
	sum := 0
	for size := 0; median == nil; size++ {
		sum += counts[size]
		if sum > at {
			for _, f := range whole {
				if len(f) == size {
					median = f
				}
			}
		}
	}
	return median
}
