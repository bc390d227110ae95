// Package opensipstest is a model of what OpenSIPS 1.10, 1.11 and 2.1 do with the dialog packets that they receive, for tests
// of packages that send to them. It keeps what they would list, counts what they would count, and tells where they would crash,
// corrupt their memory or keep a dialog for ever (Faults).
//
// It is deliberately as careless as they are: it refuses dialogs whose sockets are not its own, changes nothing on a
// creation of a dialog that it has, builds one from an update that it lacks, takes any state for granted, remembers no
// deletion, and knows neither senders nor order.
//
// Receiver is the model. Serve lets it listen on a socket and handle so many packets a second, the rest being lost in the
// kernel's buffer. Main is the same as a process of its own, to be run by the test binary itself:
//
//	func TestMain(m *testing.M) {
//		if len(os.Args) > 1 && os.Args[1] == opensipstest.Argument {
//			os.Exit(opensipstest.Main(os.Args[2:], os.Stdin, os.Stdout))
//		}
//		...
//
// The behaviour is that of the binaries, found out by experiment; it is told where it is modelled.
package opensipstest
