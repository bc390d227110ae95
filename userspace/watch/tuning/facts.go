package tuning

// Finding is the result of one check.
type Finding struct {
	Check  string // a stable name for scripts
	Well   bool   // true if the value is good
	Value  string // the current value
	Advice string // what it should be, and the command for that; always set if Well is false
}

// Host holds what concerns every interface.
type Host struct {
	CPUs       []int            // online
	Governors  map[string][]int // CPUs by the governor of their clock; empty if the system has none
	IRQBalance bool             // true if the daemon irqbalance runs
	Nodes      map[int][]int    // CPUs by NUMA node
}

// Link holds what sysfs and procfs report about an interface.
type Link struct {
	Name          string
	Receive, Send int   // queues in use; 0: unknown
	RPS           []int // CPUs to which the kernel spreads received packets
	XPS           int   // number of send queues that are assigned to CPUs
	IRQs          []IRQ // of receive queues
	Node          int   // NUMA node, -1: none or unknown
	HasDevice     bool  // true for a device, real or virtual hardware
}

// IRQ is an interrupt of a receive queue.
type IRQ struct {
	Number int
	Name   string
	CPUs   []int // the CPUs that handle it
}

// Driver holds what ethtool gets from a network driver. Values that the driver doesn't report are zero.
type Driver struct {
	Channels, MaxChannels int
	Kind                  string // of the channels, as ethtool -L names it: combined or rx
	Ring, MaxRing         int    // descriptors of each receive queue
	Merging               []string
	StripsVLAN            bool // the tag of a VLAN is gone before the XDP program sees the frame
}

// Daemon is a running appliance. The zero value means that none runs.
type Daemon struct {
	Pinned []int // CPUs that consumers are bound to by --cpus; empty: the kernel chooses
	Rings  []Ring
	// Rate is in events a second. RecordBytes is the average size of an event in a ring.
	Rate, RecordBytes float64
}

// Ring is a ring of the appliance, in bytes.
type Ring struct{ Size, HighWater uint64 }
