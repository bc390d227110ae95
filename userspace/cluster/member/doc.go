// Package member makes this process a node of an OpenSIPS cluster. A Member joins the state machine of package
// membership to the connections of package stream, and is a packets.Source for the engine:
//
//	connection --> stream --> Handler (Member) --> membership.Machine --> answers to send, events
//	                 |            | Deliver
//	                 '--> queue --'--> Receive --> watch --> engine --> Release --> fill
//
// There is one Member for each cluster, with its own listen address. What makes it quick is where work happens: the
// goroutine that reads a connection asks the machine about each packet, so that a PONG never waits behind dialogs. One
// more goroutine waits for what is due: pings, answers with a delay, the next step of a sync. Packets are sent after
// the mutex is released.
//
// The Member announces the capability dialog-dlg-repl as synced only while package donor says that the table is complete.
// It answers the nodes that then ask, each in a goroutine of its own. A request that can't be answered waits: an answer
// without data would empty the asker (spec bin-tcp, 3.6).
//
// # First fill
//
// A sync is wanted when the Member has joined, after every gap, and when an operator asks for one. It is asked of a
// node that is up and announces complete data:
//
//	idle --want--> wanted --a donor, pause over--> running --total fits--> idle, complete
//	                 ^                                |
//	                 '--- back-off, another donor <---'  silent, wrong total, broken chunk, link lost
//
// Filler.SyncRequested is called before the request leaves: from then on live events win over chunks. Chunks are counted
// in the batches that the engine has applied, so that a packet that was dropped on the way is missing from the count.
package member
