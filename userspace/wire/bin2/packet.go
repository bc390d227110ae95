package bin2

import "encoding/binary"

// Packet is one whole packet that Parse has accepted. The methods rely on that and check no lengths again.
type Packet []byte

// Parse returns b as a packet. b must be exactly what Next measured; Parse checks that the header, the name, the type
// and the trailer fit. The error is a Fault.
func Parse(b []byte) (Packet, error) {
	if len(b) < MinSize || string(b[:len(marker)]) != marker {
		return nil, BadMarker
	}
	if uint64(binary.LittleEndian.Uint32(b[lengthOffset:])) != uint64(len(b)) || len(b) > MaxSize {
		return nil, BadLength
	}
	name := int(binary.LittleEndian.Uint16(b[nameOffset-2:]))
	if name == 0 || nameOffset+name+typeSize > len(b) {
		return nil, BadName
	}
	p := Packet(b[:len(b):len(b)])
	if !p.isInternal() {
		rest := len(b) - nameOffset - name - typeSize - trailerSize
		if rest < 0 || p.trailerInt(1) == BridgeDestination && rest < 4 {
			return nil, NoTrailer
		}
	}
	return p, nil
}

// Version returns the version of the body's layout. Its meaning belongs to the capability.
func (p Packet) Version() int16 { return int16(binary.LittleEndian.Uint16(p[versionOffset:])) }

// Name returns the name of the capability.
func (p Packet) Name() []byte { return p[nameOffset:p.typeOffset():p.typeOffset()] }

// Capability returns the capability.
func (p Packet) Capability() Capability { return CapabilityOf(p.Name()) }

// Type returns the type of the message; numbered per capability.
func (p Packet) Type() int32 { return int32(binary.LittleEndian.Uint32(p[p.typeOffset():])) }

// Body returns the fields, without the trailer and without the source cluster of a bridged packet.
func (p Packet) Body() []byte {
	end := len(p)
	if !p.isInternal() {
		if end -= trailerSize; p.trailerInt(1) == BridgeDestination {
			end -= 4
		}
	}
	return p[p.typeOffset()+typeSize : end : end]
}

// Trailer is the end of every packet that is not of the capability Internal.
type Trailer struct {
	Cluster     int32
	Source      int32 // the node that made the packet, not the one that relayed it
	Destination int32 // the node that the packet is for
}

// BridgeDestination is the destination of packets that OpenSIPS 4.0 sends from one cluster to another, 0xC0000000.
const BridgeDestination = -0x40000000

// Bridged tells whether the packet comes from another cluster: then the source is a node of that one.
func (t Trailer) Bridged() bool { return t.Destination == BridgeDestination }

// Trailer returns the trailer, or false for a packet of the capability Internal, which has none.
func (p Packet) Trailer() (t Trailer, ok bool) {
	if p.isInternal() {
		return Trailer{}, false
	}
	return Trailer{Cluster: p.trailerInt(3), Source: p.trailerInt(2), Destination: p.trailerInt(1)}, true
}

// SetDestination writes another destination into the trailer, as for a packet that goes to each node of a cluster. It
// does nothing to a packet of the capability Internal.
func (p Packet) SetDestination(node int32) {
	if !p.isInternal() {
		binary.LittleEndian.PutUint32(p[len(p)-4:], uint32(node))
	}
}

// Sender returns the cluster and the node that made the packet, whichever form it has. It returns false for a
// packet of the capability Internal whose body is too short for them.
func (p Packet) Sender() (cluster, source int32, ok bool) {
	if t, ok := p.Trailer(); ok {
		return t.Cluster, t.Source, true
	}
	body := p.Body()
	if len(body) < 8 {
		return 0, 0, false
	}
	return int32(binary.LittleEndian.Uint32(body)), int32(binary.LittleEndian.Uint32(body[4:])), true
}

func (p Packet) typeOffset() int {
	return nameOffset + int(binary.LittleEndian.Uint16(p[nameOffset-2:]))
}

func (p Packet) isInternal() bool { return string(p.Name()) == "clusterer-internal" }

// trailerInt returns the nth 4-byte integer from the end.
func (p Packet) trailerInt(n int) int32 {
	return int32(binary.LittleEndian.Uint32(p[len(p)-4*n:]))
}
