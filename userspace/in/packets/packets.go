package packets

// Packet is one UDP payload, its source and its time of receipt.
type Packet struct {
	// Payload is a view, valid until the Batch it belongs to is released.
	Payload []byte
	// Source is the sender's address and port.
	Source Endpoint
	// Listener is the index of the listen address that it came to, in the order of the --listen flags.
	Listener uint8
	// Hash is the steering hash of the payload (see Steering).
	Hash uint32
	// Received is the kernel's receive time in nanoseconds since the Unix epoch.
	Received int64
}

// Batch holds up to cap(Datagrams) datagrams. It is filled by a Source and belongs to one goroutine
// at a time.
type Batch struct {
	Packets []Packet
}

// NewBatch returns an empty batch with room for size datagrams.
func NewBatch(size int) *Batch {
	return &Batch{Packets: make([]Packet, 0, size)}
}

// Source delivers datagrams in batches. One goroutine calls Receive and Release in turn; Stop may be
// called from any other.
type Source interface {
	// Receive empties b, waits until there is at least one datagram, and fills b with what is there,
	// up to its capacity. After Stop it goes on delivering what had already arrived and then returns
	// net.ErrClosed. Any other error is final, too.
	Receive(b *Batch) error
	// Release gives the memory behind the payloads of b back. It must be called once for every
	// successful Receive, before the next one.
	Release(b *Batch)
	// Stop makes the source take nothing new and wakes a waiting Receive. It is idempotent.
	Stop()
	// Close frees what the source holds. It must not be called while Receive may still run.
	Close() error
}

// Message is a datagram to be sent.
type Message struct {
	Payload []byte
	To      Endpoint
}

// Sink sends datagrams in batches. It is safe for concurrent use.
type Sink interface {
	// Send hands messages to the kernel in order and returns how many it took. With n < len(m) the
	// error tells why m[n] was refused; the caller decides whether to go on behind it.
	Send(m []Message) (n int, err error)
}
