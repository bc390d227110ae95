package packets

// Admission tells whether a packet is taken, judged by its source address alone.
type Admission uint8

const (
	Admitted    Admission = iota
	Denied                // the address is not on the list of those allowed
	RateLimited           // the address has sent more than its rate
)
