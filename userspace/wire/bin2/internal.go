package bin2

// From is the beginning of every message of the capability Internal: the cluster and the node that made the message.
type From struct {
	Cluster int32
	Source  int32
}

func (m *From) read(p Packet) Reader {
	r := NewReader(p.Body())
	m.Cluster, m.Source = r.Int(), r.Int()
	return r
}

func (m *From) begin(b []byte, k Kind, n Numbering) Writer {
	const version = 1 // of all messages of this capability; nobody looks at it
	w := Begin(b, version, capabilityNames[Internal], k.number(n))
	w.Int(m.Cluster)
	w.Int(m.Source)
	return w
}

// Each message below has two methods. Decode reads it from a packet of its kind (see KindOf); the error is a Fault.
// With Leftover the fields are right, with any other fault they are not to be used. Append writes the message as a
// peer of that dialect expects it; the error is the Fault TooLong, and then b comes back as it was.

// Ping asks for a Pong within one second.
type Ping struct {
	From
	// WantNodes asks for a list of nodes in the Pong. OpenSIPS sets it while the link isn't up.
	WantNodes bool
}

// Decode reads the message.
func (m *Ping) Decode(p Packet) error {
	r := m.read(p)
	m.WantNodes = r.Int() != 0
	return r.End()
}

// Append writes the message.
func (m *Ping) Append(b []byte, d Dialect) ([]byte, error) {
	w := m.begin(b, KindPing, d.Numbering)
	w.Bit(m.WantNodes)
	return w.End()
}

// Pong answers a Ping.
type Pong struct {
	From
	// Nodes are those that the sender knows except itself and the asker, if the Ping wanted them.
	Nodes IDs
}

// Decode reads the message.
func (m *Pong) Decode(p Packet) error {
	r := m.read(p)
	m.Nodes = r.ids(MaxNodes)
	return r.End()
}

// Append writes the message.
func (m *Pong) Append(b []byte, d Dialect) ([]byte, error) {
	w := m.begin(b, KindPong, d.Numbering)
	w.ids(m.Nodes)
	return w.End()
}

// LinkUpdate, LS_UPDATE, tells that the link between its source and a neighbour went up or down.
type LinkUpdate struct {
	From
	Seq       int32
	Timestamp int32 // Unix seconds
	Neighbour int32
	Down      bool
	// Path are the nodes that the message has passed: first its source.
	Path IDs
}

// Decode reads the message.
func (m *LinkUpdate) Decode(p Packet) error {
	r := m.read(p)
	m.Seq, m.Timestamp = r.Int(), r.Int()
	m.Neighbour, m.Down = r.Int(), r.Bit()
	m.Path = r.ids(MaxPath)
	return r.End()
}

// Append writes the message.
func (m *LinkUpdate) Append(b []byte, d Dialect) ([]byte, error) {
	w := m.begin(b, KindLink, d.Numbering)
	w.Int(m.Seq)
	w.Int(m.Timestamp)
	w.Int(m.Neighbour)
	w.Bit(m.Down)
	w.ids(m.Path)
	return w.End()
}

// Topology, FULL_TOP_UPDATE, is the picture that its source has of the cluster. The first entry is the source.
type Topology struct {
	From
	Seq       int32
	Timestamp int32 // Unix seconds
	Nodes     NodeEntries
	Path      IDs
}

// Decode reads the message.
func (m *Topology) Decode(p Packet) error {
	r := m.read(p)
	m.Seq, m.Timestamp = r.Int(), r.Int()
	m.Nodes = r.nodeEntries()
	m.Path = r.ids(MaxPath)
	return r.End()
}

// Append writes the message.
func (m *Topology) Append(b []byte, d Dialect) ([]byte, error) {
	w := m.begin(b, KindTopology, d.Numbering)
	w.Int(m.Seq)
	w.Int(m.Timestamp)
	w.Int(int32(m.Nodes.n))
	w.Raw(m.Nodes.raw)
	w.ids(m.Path)
	return w.End()
}

// UnknownID answers a Ping from a node that its receiver doesn't know. It comes on the connection of the Ping.
type UnknownID struct{ From }

// Decode reads the message.
func (m *UnknownID) Decode(p Packet) error {
	r := m.read(p)
	return r.End()
}

// Append writes the message.
func (m *UnknownID) Append(b []byte, d Dialect) ([]byte, error) {
	w := m.begin(b, KindUnknownID, d.Numbering)
	return w.End()
}

// Description, NODE_DESCRIPTION, makes its source known to a cluster.
type Description struct {
	From
	URL      []byte // bin:ADDRESS:PORT
	SIPAddr  []byte // may be empty
	Priority int32
	Retries  int32 // how many pings may stay unanswered
	Path     IDs
}

// Decode reads the message.
func (m *Description) Decode(p Packet) error {
	r := m.read(p)
	m.URL, m.SIPAddr = r.Str(), r.Str()
	m.Priority, m.Retries = r.Int(), r.Int()
	m.Path = r.ids(MaxPath)
	return r.End()
}

// Append writes the message.
func (m *Description) Append(b []byte, d Dialect) ([]byte, error) {
	w := m.begin(b, KindDescription, d.Numbering)
	w.Str(m.URL)
	w.Str(m.SIPAddr)
	w.Int(m.Priority)
	w.Int(m.Retries)
	w.ids(m.Path)
	return w.End()
}

// CapUpdate tells which capabilities nodes have and whether their data are complete.
type CapUpdate struct {
	From
	// HasSeq tells whether the next two fields are there: in 3.1.7, 3.2.4, 3.3.0 and later ones of each branch.
	HasSeq    bool
	Seq       int32
	Timestamp int32 // Unix seconds
	Nodes     NodeCapsList
	// WantReply asks the receiver to send its own capabilities.
	WantReply bool
	Path      IDs
}

// Decode reads the message. Only one of the two forms consumes a body exactly, with one exception: the form without
// sequence number, of one node without capabilities, is also a message with sequence number and without nodes. Then
// the timestamp decides, because a node id is a small number.
func (m *CapUpdate) Decode(p Packet) error {
	const year2001 = 1_000_000_000
	err := m.decode(p, true)
	if err == nil && m.Timestamp >= year2001 {
		return nil
	}
	var without CapUpdate
	switch other := without.decode(p, false); {
	case other == nil, other == Leftover && err != nil && err != Leftover:
		*m = without
		return other
	}
	return err
}

func (m *CapUpdate) decode(p Packet, seq bool) error {
	r := m.read(p)
	if m.HasSeq = seq; seq {
		m.Seq, m.Timestamp = r.Int(), r.Int()
	}
	m.Nodes = r.nodeCaps()
	m.WantReply = r.Bit() // strict, because it helps to tell the forms apart
	m.Path = r.ids(MaxPath)
	return r.End()
}

// Append writes the message, with the sequence number if HasSeq is set, whatever the dialect says.
func (m *CapUpdate) Append(b []byte, d Dialect) ([]byte, error) {
	w := m.begin(b, KindCaps, d.Numbering)
	if m.HasSeq {
		w.Int(m.Seq)
		w.Int(m.Timestamp)
	}
	w.Int(int32(m.Nodes.n))
	w.Raw(m.Nodes.raw)
	w.Bit(m.WantReply)
	w.ids(m.Path)
	return w.End()
}
