// Package membership is one node of one OpenSIPS cluster as a pure state machine: it knows the other nodes, the
// links to them, their capabilities and the sharing tags, and it says what to answer and when. It has no sockets,
// no goroutines and no clock. Packets and times go in, packets and decisions come out:
//
//	packet ---> Receive ---> Outcome     what the caller does with the packet: deliver, forward, drop
//	time -----> Tick ------> Output      packets to send, each with its time, and events
//
// The caller owns the connections. It calls Receive for every packet of the cluster, Tick when Next says so, and
// SendFailed and Disconnected when something happens to a connection. A Machine is not safe for concurrent use: a
// mutex around it is enough, because every call is short. The caller passes its own Output, so that it can send
// after it has released the mutex.
//
// Links. Each side of a link judges it on its own, by PING and PONG. A new link is in the state Probe. It is Up
// when a PING was answered, Probe again when one was not answered for PingTimeout, and Down after Retries more. A
// node that is Down is tried again every NodeTimeout, and at once when anything comes from it. A PONG is due 50 ms
// after its PING: OpenSIPS can overlook one that comes within a millisecond, and then never pings again.
//
// Numbers. LS_UPDATE, FULL_TOP_UPDATE and CAP_UPDATE carry sequence numbers that begin with 0 in each life of a
// process. Other nodes pass them on, so that a message can arrive several times and late. Number and timestamp
// together tell whether a message is new, a repeat, or the first that was seen of a new life: a lower number with a
// later time can only be that.
//
// Acceptance. There are no passwords in this protocol. A packet is refused when its cluster or its source isn't
// known, when its source is our own id, or when it comes from an address of no known node. The source is that of
// the packet, not that of the connection: nodes pass on packets for each other. Every refusal is counted by reason.
//
// A node that joins causes work at the others, and one that announces links gets packets for others to pass on. So
// the machine announces no links unless it is told to, and only the capabilities that it is told to.
package membership
