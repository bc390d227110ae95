package bin2

// Fault is the reason why bytes are not a packet, or a packet is not a message. It is an error that can be counted:
// the values are small and dense, Faults is their number.
type Fault uint8

// The faults. The zero value is no fault.
const (
	// BadMarker: the bytes don't begin with "P4CK". The position in the stream is lost.
	BadMarker Fault = iota + 1
	// BadLength: the length is below MinSize or above MaxSize. The position in the stream is lost.
	BadLength
	// BigEndian: the length makes sense in big-endian order only. The position in the stream is lost.
	BigEndian
	// BadName: the name of the capability is empty or longer than the packet.
	BadName
	// NoTrailer: the packet is too short for the trailer that its capability has.
	NoTrailer
	// Truncated: a field runs past the end of the body.
	Truncated
	// Leftover: the body is longer than its fields. The fields that were read are right.
	Leftover
	// BadCount: a list announces a negative number of items or more than a cluster can have.
	BadCount
	// BadValue: a field has a value that has no meaning.
	BadValue
	// UnknownType: the capability has no message of this type in any release.
	UnknownType
	// TooLong: a packet to be sent would exceed MaxSent, or a string 65,535 bytes.
	TooLong
	// Faults is the number of values, for arrays of counters.
	Faults
)

// Error returns the fault in words.
func (f Fault) Error() string {
	if f >= Faults {
		return "unknown fault"
	}
	return faultNames[f]
}

// String returns what Error returns.
func (f Fault) String() string { return f.Error() }

var faultNames = [...]string{
	0:           "no fault",
	BadMarker:   "wrong marker",
	BadLength:   "impossible packet length",
	BigEndian:   "big-endian sender",
	BadName:     "bad capability name",
	NoTrailer:   "no room for the trailer",
	Truncated:   "field past the end",
	Leftover:    "bytes behind the last field",
	BadCount:    "impossible count",
	BadValue:    "meaningless value",
	UnknownType: "unknown message type",
	TooLong:     "too long to send",
}
