package packets

// Admission is whether a datagram is taken, by its source alone.
type Admission uint8

const (
	Admitted    Admission = iota
	Denied                // the source is not among those who may speak
	RateLimited           // the source has sent more than its rate
)
