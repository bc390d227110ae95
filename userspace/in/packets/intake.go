package packets

import "net/netip"

// MaxIntakes is how many intakes there can be.
const MaxIntakes = 64

// Intake is a door that packets come in by. Each has a row in the account.
type Intake struct {
	Kind IntakeKind
	// Name tells it from the others of its kind, in logs: the listen address, the number of a cluster.
	Name string
	// Address is what it listens on. It is the zero value where there is no such thing.
	Address netip.AddrPort
}

// IntakeKind is what an intake is.
type IntakeKind uint8

const (
	Listener IntakeKind = iota // a UDP address: a socket, with the rings of the XDP program in front of it
	Stream                     // a TCP address
	Cluster                    // the nodes of one cluster
	Log                        // the event log
)

// String returns the kind as it stands in logs.
func (k IntakeKind) String() string {
	switch k {
	case Listener:
		return "listener"
	case Stream:
		return "stream"
	case Cluster:
		return "cluster"
	case Log:
		return "log"
	}
	return "invalid"
}

// String returns kind and name.
func (i Intake) String() string { return i.Kind.String() + " " + i.Name }

// Listeners returns an intake for each listen address, in their order.
func Listeners(addresses []netip.AddrPort) []Intake {
	list := make([]Intake, len(addresses))
	for i, a := range addresses {
		list[i] = Intake{Kind: Listener, Name: a.String(), Address: a}
	}
	return list
}
