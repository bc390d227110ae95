// Package bin1test provides BIN traffic and the dialogs that it should result in, for tests and the demo.
//
// Two kinds of traffic. A Capture is what a real OpenSIPS sent, with the dialogs that it listed at the end:
//
//	for _, c := range bin1test.Captures(t) {
//		feed c.Frames (to BPF), or c.Datagrams (to anything behind it)
//		for _, difference := range bin1test.Diff(table, c.Expected) { t.Error(difference) }
//	}
//
// A Proxy makes up an endless, repeatable stream of any size, and knows at any moment what ought to be alive:
//
//	p := bin1test.NewProxy(1, bin1test.Realistic(now, 100_000))
//	for ... { buf = p.Next(buf[:0]) }
//	for _, difference := range bin1test.DiffDetails(table, p.LiveDetails()) { t.Error(difference) }
package bin1test
