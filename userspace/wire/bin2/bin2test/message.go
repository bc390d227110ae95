package bin2test

import "binrepd/userspace/wire/bin2"

// Message is what all messages of the clusterer module can do.
type Message interface {
	Decode(bin2.Packet) error
	Append([]byte, bin2.Dialect) ([]byte, error)
}

// New returns an empty message of that kind; nil for bin2.NoKind.
func New(k bin2.Kind) Message {
	switch k {
	case bin2.KindPing:
		return new(bin2.Ping)
	case bin2.KindPong:
		return new(bin2.Pong)
	case bin2.KindLink:
		return new(bin2.LinkUpdate)
	case bin2.KindTopology:
		return new(bin2.Topology)
	case bin2.KindUnknownID:
		return new(bin2.UnknownID)
	case bin2.KindDescription:
		return new(bin2.Description)
	case bin2.KindCaps:
		return new(bin2.CapUpdate)
	case bin2.KindRemove:
		return new(bin2.RemoveNode)
	case bin2.KindGeneric:
		return new(bin2.Generic)
	case bin2.KindCommand:
		return new(bin2.Command)
	case bin2.KindSyncRequest:
		return new(bin2.SyncRequest)
	case bin2.KindSync:
		return new(bin2.Sync)
	case bin2.KindSyncEnd:
		return new(bin2.SyncEnd)
	case bin2.KindTag:
		return new(bin2.TagActive)
	}
	return nil
}

// Decode returns the message of the clusterer module in p, and the numbering that its type shows, 0 if it shows none.
// It returns nil for packets of other capabilities.
func Decode(p bin2.Packet, hint bin2.Numbering) (Message, bin2.Numbering, error) {
	kind, numbering, err := bin2.KindOf(p, hint)
	m := New(kind)
	if err != nil || m == nil {
		return nil, numbering, err
	}
	return m, numbering, m.Decode(p)
}
