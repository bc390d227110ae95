package membership

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"binrepd/userspace/wire/bin2"
)

// Bounds. What exceeds them is refused and counted.
const (
	// MaxNodes is the number of other nodes: OpenSIPS has the same limit for a cluster.
	MaxNodes = bin2.MaxNodes - 1
	// MaxTags is the number of sharing tags. Installations have one or two for each pair of proxies.
	MaxTags = 64
	// MaxCaps is the number of capabilities of a node. OpenSIPS 4.0 has 13.
	MaxCaps = 32
	// MaxText is the length of an URL, an address, a tag or the name of a capability in bytes.
	MaxText = 255
	// MaxAddresses is the number of addresses of a node.
	MaxAddresses = 8
)

// Default times and numbers: those of OpenSIPS, except for the delay of a PONG and the last two.
const (
	DefaultPingInterval = 4 * time.Second
	DefaultPingTimeout  = time.Second
	DefaultNodeTimeout  = time.Minute
	DefaultRetries      = 3
	DefaultPriority     = 50
	// DefaultPongDelay is how long after a PING the PONG is sent. In tests with 50 ms none of 30 links got stuck.
	DefaultPongDelay = 50 * time.Millisecond
	// DefaultTagWindow: two nodes that claim a tag within this time are in conflict.
	DefaultTagWindow = 5 * time.Second
	// DefaultQuiet is how long a node may answer pings without sending anything itself before it is sent a PONG
	// that it didn't ask for. It is more than two intervals of pings.
	DefaultQuiet = 10 * time.Second
)

// Capability is one that this node announces.
type Capability struct {
	Name string
	// Synced says that our data are complete, so that other nodes may ask for them.
	Synced bool
}

// Peer is another node of the cluster.
type Peer struct {
	Node        int32
	URL         string // bin:ADDRESS:PORT or bins:ADDRESS:PORT; the port may be missing
	SIPAddr     string
	Description string
	Priority    int32 // 0: DefaultPriority
	Retries     int32 // 0: DefaultRetries
	// Addresses are those from which the node may connect. Without any it is the address in URL; if that is a name,
	// the caller looks it up and calls SetAddresses.
	Addresses []netip.Addr
}

// Config is what a Machine is told at its start.
type Config struct {
	Cluster int32
	Node    int32
	// URL is where other nodes reach this one, and SIPAddr is passed on to them; both are in our NODE_DESCRIPTION.
	URL      string
	SIPAddr  string
	Priority int32 // 0: DefaultPriority
	Retries  int32 // 0: DefaultRetries
	Peers    []Peer
	// Learn accepts nodes that nobody configured, as OpenSIPS does with db_mode 0.
	Learn bool
	// AnnounceLinks tells other nodes about our links. They may then send packets for others through this node.
	AnnounceLinks bool
	// AnyAddress accepts a node's packets from addresses of no node. For callers that know their peers by other
	// means.
	AnyAddress   bool
	Capabilities []Capability

	// Times; 0 is the default.
	PingInterval time.Duration
	PingTimeout  time.Duration
	NodeTimeout  time.Duration
	PongDelay    time.Duration
	TagWindow    time.Duration
	Quiet        time.Duration
}

// ErrConfig is wrapped by every error of a configuration.
var ErrConfig = errors.New("membership")

func (c *Config) setDefaults() {
	setDefault(&c.PingInterval, DefaultPingInterval)
	setDefault(&c.PingTimeout, DefaultPingTimeout)
	setDefault(&c.NodeTimeout, DefaultNodeTimeout)
	setDefault(&c.PongDelay, DefaultPongDelay)
	setDefault(&c.TagWindow, DefaultTagWindow)
	setDefault(&c.Quiet, DefaultQuiet)
	setDefault(&c.Priority, DefaultPriority)
	setDefault(&c.Retries, DefaultRetries)
}

func setDefault[T time.Duration | int32](v *T, standard T) {
	if *v <= 0 {
		*v = standard
	}
}

func (c *Config) check() error {
	switch {
	case c.Cluster < 1:
		return fmt.Errorf("%w: cluster %d: an id is 1 or more", ErrConfig, c.Cluster)
	case c.Node < 1:
		return fmt.Errorf("%w: node %d: an id is 1 or more", ErrConfig, c.Node)
	case len(c.URL) > MaxText || len(c.SIPAddr) > MaxText:
		return fmt.Errorf("%w: own URL and SIP address: at most %d bytes", ErrConfig, MaxText)
	case len(c.Capabilities) > MaxCaps:
		return fmt.Errorf("%w: %d capabilities: at most %d", ErrConfig, len(c.Capabilities), MaxCaps)
	}
	for _, capability := range c.Capabilities {
		if capability.Name == "" || len(capability.Name) > MaxText {
			return fmt.Errorf("%w: capability %q: a name has 1 to %d bytes", ErrConfig, capability.Name, MaxText)
		}
	}
	return nil
}

// addressOf returns the address in an URL such as bin:10.0.0.1:5566, or false if there is a name in it.
func addressOf(url string) (netip.Addr, bool) {
	_, host, found := strings.Cut(url, ":")
	if !found || !strings.HasPrefix(url, "bin:") && !strings.HasPrefix(url, "bins:") {
		host = url // OpenSIPS takes an URL without a scheme for one of bin
	}
	if at, err := netip.ParseAddrPort(host); err == nil {
		return at.Addr().Unmap(), true
	}
	at, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return at.Unmap(), err == nil
}
