package bin2

import (
	"encoding/binary"
	"iter"
)

// Bounds on what a message lists. OpenSIPS has the first three itself; the others are far above what its modules
// make.
const (
	MaxNodes      = 128 // nodes of a cluster
	MaxNeighbours = 128 // links of a node
	MaxPath       = 25  // nodes that passed a message on
	MaxCaps       = 256 // capabilities of a node
	MaxParams     = 64  // parameters of a management command
)

// IDs is a list of node ids in the form of the wire, 4 bytes each. The zero value is empty.
type IDs struct{ raw []byte }

// Len returns the number of ids.
func (l IDs) Len() int { return len(l.raw) / 4 }

// At returns the ith id.
func (l IDs) At(i int) int32 { return int32(binary.LittleEndian.Uint32(l.raw[4*i:])) }

// Has tells whether id is in the list.
func (l IDs) Has(id int32) bool {
	for i := range l.Len() {
		if l.At(i) == id {
			return true
		}
	}
	return false
}

// Append returns the list with id behind it. Like the built-in append it may write into the room behind the list.
func (l IDs) Append(id int32) IDs {
	return IDs{binary.LittleEndian.AppendUint32(l.raw, uint32(id))}
}

// Truncate returns an empty list that keeps the memory, for Append.
func (l IDs) Truncate() IDs { return IDs{l.raw[:0]} }

// ids reads a count and that many ids.
func (r *Reader) ids(limit int) IDs {
	n := r.Count(limit, 4)
	return IDs{r.skip(4 * n)}
}

func (w *Writer) ids(l IDs) {
	w.Int(int32(l.Len()))
	w.Raw(l.raw)
}

// NodeEntry is one node in a Topology.
type NodeEntry struct {
	ID int32
	// Described tells whether the next four fields are there.
	Described bool
	URL       []byte
	SIPAddr   []byte
	Priority  int32
	Retries   int32
	// LinkSeq and LinkTime are those of the last LinkUpdate of this node that the sender has seen: -1 and 0 if
	// none. A sender gives 0 for its own time.
	LinkSeq    int32
	LinkTime   int32
	Neighbours IDs
}

// NodeEntries is the list of nodes in a Topology, in the form of the wire. The zero value is empty.
type NodeEntries struct {
	n   int
	raw []byte
}

// Len returns the number of entries.
func (l NodeEntries) Len() int { return l.n }

// All returns the entries in order.
func (l NodeEntries) All() iter.Seq[NodeEntry] {
	return func(yield func(NodeEntry) bool) {
		for r := NewReader(l.raw); r.Left() > 0; {
			if !yield(r.nodeEntry()) {
				return
			}
		}
	}
}

// Append returns the list with e behind it.
func (l NodeEntries) Append(e *NodeEntry) NodeEntries {
	w := Writer{buf: l.raw}
	w.Int(e.ID)
	w.Bit(e.Described)
	if e.Described {
		w.Str(e.URL)
		w.Str(e.SIPAddr)
		w.Int(e.Priority)
		w.Int(e.Retries)
	}
	w.Int(e.LinkSeq)
	w.Int(e.LinkTime)
	w.ids(e.Neighbours)
	return NodeEntries{l.n + 1, w.buf}
}

func (r *Reader) nodeEntry() (e NodeEntry) {
	e.ID = r.Int()
	if e.Described = r.Bit(); e.Described {
		e.URL, e.SIPAddr = r.Str(), r.Str()
		e.Priority, e.Retries = r.Int(), r.Int()
	}
	e.LinkSeq, e.LinkTime = r.Int(), r.Int()
	e.Neighbours = r.ids(MaxNeighbours)
	return e
}

func (r *Reader) nodeEntries() NodeEntries {
	const least = 20 // bytes of an entry without description and neighbours
	n := r.Count(MaxNodes, least)
	before := r.rest
	for range n {
		r.nodeEntry()
	}
	return NodeEntries{n, before[:len(before)-len(r.rest)]}
}

// Cap is a capability of a node and its state.
type Cap struct {
	Name []byte
	// Synced is the state: the node's data are complete, so that others may ask it for them.
	Synced bool
}

// Caps is a list of capabilities, in the form of the wire. The zero value is empty.
type Caps struct {
	n   int
	raw []byte
}

// Len returns the number of capabilities.
func (l Caps) Len() int { return l.n }

// All returns the capabilities in order.
func (l Caps) All() iter.Seq[Cap] {
	return func(yield func(Cap) bool) {
		for r := NewReader(l.raw); r.Left() > 0; {
			if !yield(Cap{r.Str(), r.Bit()}) {
				return
			}
		}
	}
}

// Append returns the list with a capability behind it.
func (l Caps) Append(name string, synced bool) Caps {
	w := Writer{buf: l.raw}
	w.Text(name)
	w.Bit(synced)
	return Caps{l.n + 1, w.buf}
}

func (r *Reader) caps() Caps {
	const least = 6 // an empty name and a state
	n := r.Count(MaxCaps, least)
	before := r.rest
	for range n {
		r.Str()
		r.Bit()
	}
	return Caps{n, before[:len(before)-len(r.rest)]}
}

// NodeCaps is one node in a CapUpdate.
type NodeCaps struct {
	ID   int32
	Caps Caps
}

// NodeCapsList is the list of nodes in a CapUpdate, in the form of the wire. The zero value is empty.
type NodeCapsList struct {
	n   int
	raw []byte
}

// Len returns the number of nodes.
func (l NodeCapsList) Len() int { return l.n }

// All returns the nodes in order.
func (l NodeCapsList) All() iter.Seq[NodeCaps] {
	return func(yield func(NodeCaps) bool) {
		for r := NewReader(l.raw); r.Left() > 0; {
			if !yield(NodeCaps{r.Int(), r.caps()}) {
				return
			}
		}
	}
}

// Append returns the list with a node behind it.
func (l NodeCapsList) Append(id int32, caps Caps) NodeCapsList {
	w := Writer{buf: l.raw}
	w.Int(id)
	w.Int(int32(caps.n))
	w.Raw(caps.raw)
	return NodeCapsList{l.n + 1, w.buf}
}

func (r *Reader) nodeCaps() NodeCapsList {
	const least = 8 // an id and a count
	n := r.Count(MaxNodes, least)
	before := r.rest
	for range n {
		r.Int()
		r.caps()
	}
	return NodeCapsList{n, before[:len(before)-len(r.rest)]}
}

// Params is the list of parameters of a Command, in the form of the wire. The zero value is empty.
type Params struct {
	n   int
	raw []byte
}

// Len returns the number of parameters.
func (l Params) Len() int { return l.n }

// All returns the parameters in order.
func (l Params) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for r := NewReader(l.raw); r.Left() > 0; {
			if !yield(r.Str()) {
				return
			}
		}
	}
}

// Append returns the list with a parameter behind it.
func (l Params) Append(param []byte) Params {
	w := Writer{buf: l.raw}
	w.Str(param)
	return Params{l.n + 1, w.buf}
}

func (r *Reader) params() Params {
	const least = 2 // an empty string
	n := r.Count(MaxParams, least)
	before := r.rest
	for range n {
		r.Str()
	}
	return Params{n, before[:len(before)-len(r.rest)]}
}
