// Package bench measures the appliance, part by part and whole, on the code that runs in service.
//
//	BPF_PROG_TEST_RUN --> ring --> batch --> verify, decode --> apply --> table --> fan-out
//	     steer            ring                  decode          apply      scan      fanout
//	                      '------------------ whole -----------------------'
//
// No network card is needed. Frames of a made-up proxy, each of them distinct, go through the real XDP program by
// BPF_PROG_TEST_RUN into real rings; where time between the kernel's receipt and the table matters, or processor time
// with everything that the kernel does, live frames cross a veth pair between two namespaces made for it.
//
// Beside each measurement is a limit to compare it with: a program that only drops, a copy of the same bytes, or a
// simple receiver that was not written for speed. The two sides of a comparison are measured in turns, so that a
// disturbance hits both, and the figures are medians of several rounds.
package bench
