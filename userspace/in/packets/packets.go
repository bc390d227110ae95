package packets

// Packet is one BIN packet, its sender and its time of receipt.
type Packet struct {
	// Payload is the whole packet. It is a view, valid until the Batch that it belongs to is released.
	Payload []byte
	// Sender tells who sent it.
	Sender Sender
	// Intake is the number of the intake that it came in by. Intakes are numbered in the order in which the engine has them;
	// listen addresses come first, in the order of the --listen flags.
	Intake uint8
	// Hash is the steering hash of the payload (see Steering).
	Hash uint32
	// Received is the time of receipt in nanoseconds since the Unix epoch: the kernel's, where there is one.
	Received int64
}

// Batch holds up to cap(Packets) packets. A Source fills it. It belongs to one goroutine at a time.
type Batch struct {
	Packets []Packet
}

// NewBatch returns an empty batch with room for size packets.
func NewBatch(size int) *Batch {
	return &Batch{Packets: make([]Packet, 0, size)}
}

// Source delivers packets in batches. One goroutine calls Receive and Release in turn. Any other may call Stop.
type Source interface {
	// Receive empties b, waits until there is at least one packet, and fills b with what is there, up to its capacity. After
	// Stop it goes on delivering what had already arrived and then returns net.ErrClosed. Any other error is final, too.
	Receive(b *Batch) error
	// Release gives the memory behind the payloads of b back. It must be called once for every successful Receive, before the
	// next one.
	Release(b *Batch)
	// Stop makes the source take nothing new and wakes a waiting Receive. It is idempotent.
	Stop()
	// Close frees what the source holds. It must not be called while Receive may still run.
	Close() error
}
