package tuning

// Finding is one thing that was looked at.
type Finding struct {
	Check  string // a stable name for scripts
	Well   bool   // whether it is as it should be
	Value  string // what is
	Advice string // what should be, and the command for it; always there if it isn't well
}

// Host is what concerns every interface.
type Host struct {
	CPUs       []int            // online
	Governors  map[string][]int // CPUs by how their clock is governed; empty where the system doesn't do that
	IRQBalance bool             // whether the daemon irqbalance runs
	Nodes      map[int][]int    // CPUs by NUMA node
}

// Link is an interface as sysfs and procfs show it.
type Link struct {
	Name          string
	Receive, Send int   // queues in use, 0: unknown
	RPS           []int // CPUs to which the kernel spreads what it received
	XPS           int   // send queues that have CPUs of their own
	IRQs          []IRQ // of receive queues
	Node          int   // NUMA node, -1: none or unknown
	HasDevice     bool  // whether there is a device behind it, real or virtual hardware
}

// IRQ is an interrupt of a receive queue.
type IRQ struct {
	Number int
	Name   string
	CPUs   []int // on which it arrives
}

// Driver is what ethtool asks of a network driver. What a driver doesn't tell is zero.
type Driver struct {
	Channels, MaxChannels int
	Kind                  string // of the channels, as ethtool -L calls it: combined or rx
	Ring, MaxRing         int    // descriptors of each receive queue
	Merging               []string
}

// Daemon is a running appliance; the zero value is none.
type Daemon struct {
	Pinned []int // CPUs that consumers are bound to by --cpus; empty: the kernel chooses
	Rings  []Ring
	// Rate is in events a second, RecordBytes what one takes in a ring on average.
	Rate, RecordBytes float64
}

// Ring is a ring of the appliance, in bytes.
type Ring struct{ Size, HighWater uint64 }
