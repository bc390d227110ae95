package bin2

// clustererVersion is the version of all messages of the capability Extra that don't belong to a sync.
const clustererVersion = 1

func (t *Trailer) read(p Packet) Reader {
	*t, _ = p.Trailer()
	return NewReader(p.Body())
}

func beginExtra(b []byte, version int16, k Kind, n Numbering) Writer {
	return Begin(b, version, capabilityNames[Extra], k.number(n))
}

// RemoveNode tells that an operator removed a node from the cluster. It exists since 3.2.
type RemoveNode struct {
	Trailer
	Node int32
}

// Decode reads the message.
func (m *RemoveNode) Decode(p Packet) error {
	r := m.read(p)
	m.Node = r.Int()
	return r.End()
}

// Append writes the message. For a peer of the old numbering, which has no such message, the error is UnknownType.
func (m *RemoveNode) Append(b []byte, d Dialect) ([]byte, error) {
	if d.Numbering == Old {
		return b, UnknownType
	}
	w := beginExtra(b, clustererVersion, KindRemove, d.Numbering)
	w.Int(m.Node)
	return w.EndTrailer(m.Trailer)
}

// Generic, GENERIC_MSG, is a message between the scripts of two proxies.
type Generic struct {
	Trailer
	Request bool
	Tag     []byte // joins a reply to its request
	Message []byte
}

// Decode reads the message.
func (m *Generic) Decode(p Packet) error {
	r := m.read(p)
	m.Request = r.Int() != 0
	m.Tag, m.Message = r.Str(), r.Str()
	return r.End()
}

// Append writes the message.
func (m *Generic) Append(b []byte, d Dialect) ([]byte, error) {
	w := beginExtra(b, clustererVersion, KindGeneric, d.Numbering)
	w.Bit(m.Request)
	w.Str(m.Tag)
	w.Str(m.Message)
	return w.EndTrailer(m.Trailer)
}

// Command, MI_CMD, asks its receiver to run a management command. Nothing in it proves who sent it.
type Command struct {
	Trailer
	Name   []byte
	Params Params
}

// Decode reads the message.
func (m *Command) Decode(p Packet) error {
	r := m.read(p)
	m.Name = r.Str()
	m.Params = r.params()
	return r.End()
}

// Append writes the message.
func (m *Command) Append(b []byte, d Dialect) ([]byte, error) {
	w := beginExtra(b, clustererVersion, KindCommand, d.Numbering)
	w.Str(m.Name)
	w.Int(int32(m.Params.n))
	w.Raw(m.Params.raw)
	return w.EndTrailer(m.Trailer)
}

// SyncRequest, SYNC_REQ, asks for all data of a capability.
type SyncRequest struct {
	Trailer
	// Version is the sync version of the asker. Append writes that of the dialect if it is 0.
	Version    int16
	Capability []byte
}

// Decode reads the message.
func (m *SyncRequest) Decode(p Packet) error {
	r := m.read(p)
	m.Version = p.Version()
	m.Capability = r.Str()
	return r.End()
}

// Append writes the message.
func (m *SyncRequest) Append(b []byte, d Dialect) ([]byte, error) {
	w := beginExtra(b, versionOr(m.Version, d), KindSyncRequest, d.Numbering)
	w.Str(m.Capability)
	return w.EndTrailer(m.Trailer)
}

// ChunkMarker stands before the data of each chunk of a Sync.
const ChunkMarker = 101010101

// Sync is a part of the answer to a SyncRequest.
type Sync struct {
	Trailer
	// Version is the sync version. Append writes that of the dialect if it is 0.
	Version    int16
	Capability []byte
	// DataVersion is the version of the data's layout. Sync version 1 has no such field; then it is 0.
	DataVersion int32
	// Chunks are the chunks to the end of the packet: size, ChunkMarker, that many bytes of data; in sync version 1
	// without the size. They are not looked at here.
	Chunks []byte
}

// Decode reads the message.
func (m *Sync) Decode(p Packet) error {
	r := m.read(p)
	m.Version = p.Version()
	m.Capability = r.Str()
	if m.DataVersion = 0; m.Version > 1 {
		m.DataVersion = r.Int()
	}
	m.Chunks = r.Rest()
	return r.End()
}

// Append writes the message.
func (m *Sync) Append(b []byte, d Dialect) ([]byte, error) {
	version := versionOr(m.Version, d)
	w := beginExtra(b, version, KindSync, d.Numbering)
	w.Str(m.Capability)
	if version > 1 {
		w.Int(m.DataVersion)
	}
	w.Raw(m.Chunks)
	return w.EndTrailer(m.Trailer)
}

// SyncEnd ends the answer to a SyncRequest.
type SyncEnd struct {
	Trailer
	// Version is the sync version. Append writes that of the dialect if it is 0.
	Version    int16
	Capability []byte
	// Total is the number of chunks of the whole answer. Sync versions 1 and 2 have no such field; then it is 0.
	Total int32
}

// HasTotal tells whether the message says how many chunks there were.
func (m *SyncEnd) HasTotal() bool { return m.Version > 2 }

// Decode reads the message.
func (m *SyncEnd) Decode(p Packet) error {
	r := m.read(p)
	m.Version = p.Version()
	m.Capability = r.Str()
	if m.Total = 0; m.HasTotal() {
		if m.Total = r.Int(); m.Total < 0 {
			r.fail(BadCount)
		}
	}
	return r.End()
}

// Append writes the message.
func (m *SyncEnd) Append(b []byte, d Dialect) ([]byte, error) {
	version := versionOr(m.Version, d)
	w := beginExtra(b, version, KindSyncEnd, d.Numbering)
	w.Str(m.Capability)
	if version > 2 {
		w.Int(m.Total)
	}
	return w.EndTrailer(m.Trailer)
}

// TagActive, SHTAG_ACTIVE, tells that its source is active for a sharing tag from now on, so that all others are not.
type TagActive struct {
	Trailer
	Tag []byte
}

// Decode reads the message.
func (m *TagActive) Decode(p Packet) error {
	r := m.read(p)
	m.Tag = r.Str()
	return r.End()
}

// Append writes the message.
func (m *TagActive) Append(b []byte, d Dialect) ([]byte, error) {
	w := beginExtra(b, clustererVersion, KindTag, d.Numbering)
	w.Str(m.Tag)
	return w.EndTrailer(m.Trailer)
}

// OldTagActive returns the sharing tag of a packet with which a dialog module of 2.4 says what TagActive says since
// 3.0: capability Dialogs, type 4, version 1, one string. The same type and version with other fields is a CSEQ of
// 3.0.0.
func OldTagActive(p Packet) (tag []byte, ok bool) {
	const tagType = 4
	if p.Type() != tagType || p.Version() != 1 || p.Capability() != Dialogs {
		return nil, false
	}
	r := NewReader(p.Body())
	tag = r.Str()
	return tag, r.End() == nil
}

func versionOr(version int16, d Dialect) int16 {
	if version == 0 {
		return d.syncVersion()
	}
	return version
}
