// Package donor answers a node of an OpenSIPS cluster that asks for all dialogs. It decides, reads and encodes; it has
// no connections, no goroutines and no clock, so that tests run it in a simulated cluster.
//
//	Promise   decides whether the table is complete, so that this node may announce state 1
//	LayoutOf  decides in which layout the requester takes dialogs
//	Encoder   writes one dialog, or one message about a dialog, for a peer
//	Run       one answer: chunks, the end with their number, and the repairs behind it
//
// # Why the state is a promise
//
// A node that announces state 1 for dialogs is asked for them. When the answer ends, OpenSIPS 3.2 and later ends every
// dialog of its own that was not in the answer. So an appliance that announces state 1 and lacks calls empties others
// (weakness W3 of OpenSIPS's own sync).
//
// # One answer
//
//	request --> scan of the table --> changes since the scan began --> SYNC_END --> repairs --> done
//	            one dialog per SYNC   calls that have begun                          what the requester missed
//
// A live event and the chunk of its dialog reach the requester on two ways. An event that comes before the chunk is lost
// there: it is about an unknown dialog. So the Run follows the journal of changes from before its scan. After SYNC_END it
// repeats what its dialogs may have missed: ends (without them the chunk is a ghost, W1), and values and CSeq numbers
// that came before the requester began to queue live events (W5).
//
// Each packet has one dialog, because a dialog that the requester refuses makes it drop the rest of the packet (W2). The
// number in SYNC_END is that of the chunks that were sent. Packets are paced, because a burst of thousands breaks 4.0.
package donor
