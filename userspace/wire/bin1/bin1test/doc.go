// Package bintest provides BIN traffic and what ought to become of it, for tests, the demo and the benchmark.
//
// Two kinds of traffic. A Capture is what a real OpenSIPS sent, with the dialogs that it listed at the end:
//
//	for _, c := range bintest.Captures(t) {
//		feed c.Frames (to BPF), or c.Datagrams (to anything behind it)
//		for _, difference := range bintest.Diff(table, c.Expected) { t.Error(difference) }
//	}
//
// A Proxy makes up an endless, repeatable stream of any size, and knows at any moment what ought to be alive:
//
//	p := bintest.NewProxy(1, bintest.Realistic(now, 100_000))
//	for ... { buf = p.Next(buf[:0]) }
//	for _, difference := range bintest.DiffDetails(table, p.LiveDetails()) { t.Error(difference) }
package bin1test
