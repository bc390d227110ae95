package bpf_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/userspace/datagram"
	"binrepd/userspace/ring"
)

// BenchmarkCost compares what the program costs for a packet of a real sender, in nanoseconds by the kernel's own measure, with
// two programs that do less: one that only drops, and one that copies the payload once and drops.
//
//	go test -run '^$' -bench Cost ./bpf
func BenchmarkCost(b *testing.B) {
	frame := middleFrame(b)
	payload := len(frame) - 42
	b.Run("drop", func(b *testing.B) { benchmarkOther(b, frame, dropOnly()) })
	b.Run("copy_drop", func(b *testing.B) { benchmarkOther(b, frame, copyDrop(b, payload)) })
	b.Run("pass_other", func(b *testing.B) {
		other := bpftest.Frame{From: netip.MustParseAddrPort("10.99.0.1:53"), To: netip.MustParseAddrPort("10.99.0.2:53"), Payload: make([]byte, payload)}
		p := load(b, bpf.Config{Listeners: []netip.AddrPort{netip.MustParseAddrPort("10.99.0.2:5556")}})
		benchmarkRun(b, p.XDP(), other.Bytes(), xdpPass, nil)
	})
	b.Run("binrepd", func(b *testing.B) {
		p := load(b, bpf.Config{Rings: 1, RingSize: 16 << 20, Listeners: []netip.AddrPort{netip.MustParseAddrPort("10.99.0.2:5556")}})
		src, err := ring.Open(p, 0, ring.Config{})
		if err != nil {
			b.Fatal(err)
		}
		defer src.Close()
		batch := datagram.NewBatch(512)
		benchmarkRun(b, p.XDP(), frame, xdpDrop, func(n int) {
			for n > 0 {
				if err := src.Receive(batch); err != nil {
					b.Fatal(err)
				}
				n -= len(batch.Datagrams)
				src.Release(batch)
			}
		})
	})
}

// perCall is how many frames one system call runs through the program: they fit the ring.
const perCall = 8192

func benchmarkRun(b *testing.B, program *ebpf.Program, frame []byte, want uint32, drain func(int)) {
	var total time.Duration
	frames := 0
	for b.Loop() {
		answer, each, err := program.Benchmark(frame, perCall, nil)
		if err != nil || answer != want {
			b.Fatalf("answer %d, %v", answer, err)
		}
		total += each * perCall
		frames += perCall
		if drain != nil {
			drain(perCall)
		}
	}
	b.ReportMetric(float64(total.Nanoseconds())/float64(frames), "ns/frame")
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

// middleFrame returns the steered frame of median length of a capture.
func middleFrame(b testing.TB) []byte {
	frames := bpftest.Capture(b, "opensips-1.11.pcap")
	counts := make(map[int]int)
	var whole [][]byte
	for _, f := range frames {
		if f[20]&0x3f == 0 && f[21] == 0 { // no fragment
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
