package member

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strings"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/stream"
)

// Capability is the one that a Member announces and asks syncs of.
const Capability = "dialog-dlg-repl"

// Times of a sync; see Times.
const (
	// DefaultSilence is what OpenSIPS grants a donor, too (spec bin-tcp, 3.5).
	DefaultSilence = 15 * time.Second
	// DefaultOvertake: packets of several connections can overtake each other by some ms, and on a busy host by more.
	DefaultOvertake = 3 * time.Second
	DefaultSettle   = time.Second
	DefaultPause    = 10 * time.Second
	DefaultRetryMin = time.Second
	DefaultRetryMax = time.Minute
	DefaultPatience = 30 * time.Second
	DefaultUnsure   = 6 * time.Second // a seed is synced after 5 s
	DefaultDoubt    = 5 * time.Second
)

// MaxCluster is the greatest id of a cluster that packets.Sender can hold.
const MaxCluster = math.MaxUint16

// Peer is a node that is known from the start.
type Peer struct {
	Node int32
	URL  stream.URL
	// Pins are fingerprints of certificates (stream.Fingerprint), one of which the node must have. Empty: any that the
	// CA has signed.
	Pins []string
}

// Filler is the table's side of a sync; the engine is one.
type Filler interface {
	// SyncRequested says that a sync is about to be requested: from now on what live events of the cluster touch wins
	// over its chunks, and changes of dialogs that are still to come may wait.
	SyncRequested(cluster int32)
}

// Config of a Member.
type Config struct {
	Cluster, Node int32
	// Listen is where other nodes reach this one: not an unspecified address. Port 0 is for tests.
	Listen stream.URL
	Peers  []Peer
	// Fixed takes only the Peers. Otherwise nodes are learned as OpenSIPS does with db_mode 0.
	Fixed bool
	// TLS is needed if any URL is a bins one.
	TLS *stream.TLS
	// Intake becomes the Intake of every packet.
	Intake uint8
	// Hash computes the Hash of every packet; nil: 0.
	Hash func(payload []byte, source packets.Endpoint) uint32
	// Admit decides about connections by their address; nil: all may connect.
	Admit func(source packets.Endpoint) packets.Admission
	// Record returns the recording of a connection (stream.Config.Record); nil: none.
	Record func(*stream.Conn) stream.Recording
	// Filler is told of syncs; it may be nil.
	Filler Filler
	Donor  DonorConfig
	// Claimed is told that a sharing tag has moved from one node to another. It must not block; nil: nobody is told.
	Claimed func(now time.Time, cluster, node int32, tag string, previous int32)
	// Announce are more capabilities to announce, as synced.
	Announce []string
	// Judge finds calls that nodes have dropped silently; nil: none are looked for.
	Judge Judge
	Log   *slog.Logger // nil: slog.Default

	Limits stream.Limits
	Times  Times
}

// Times of a Member; 0 is the default.
type Times struct {
	PingInterval, PingTimeout, NodeTimeout, PongDelay time.Duration

	Silence  time.Duration // without a packet of the donor, until another one is asked
	Overtake time.Duration // after the end of a sync, for chunks that the end has overtaken
	Settle   time.Duration // from the wish for a sync to the request, so that one sync answers several wishes
	Pause    time.Duration // between two syncs that nobody asked for by hand
	// RetryMin and RetryMax bound the pause after a sync that failed. It doubles each time.
	RetryMin, RetryMax time.Duration
	Patience           time.Duration // without any donor, until the state is Incomplete
	Unsure             time.Duration // without any donor, until a node is asked that isn't synced
	Doubt              time.Duration // from a node's being synced to the look for calls that it has dropped
}

func (t *Times) complete() {
	for _, d := range [...]struct {
		value  *time.Duration
		preset time.Duration
	}{
		{&t.Silence, DefaultSilence}, {&t.Overtake, DefaultOvertake}, {&t.Settle, DefaultSettle}, {&t.Pause, DefaultPause},
		{&t.RetryMin, DefaultRetryMin}, {&t.RetryMax, DefaultRetryMax}, {&t.Patience, DefaultPatience},
		{&t.Unsure, DefaultUnsure}, {&t.Doubt, DefaultDoubt},
	} {
		if *d.value <= 0 {
			*d.value = d.preset
		}
	}
}

// Validate checks the settings. Errors don't name the cluster.
func (c *Config) Validate() error {
	switch listen := c.Listen.Addr.Addr(); {
	case c.Cluster < 1 || c.Cluster > MaxCluster:
		return fmt.Errorf("cluster %d: an id is 1 to %d", c.Cluster, MaxCluster)
	case c.Node < 1:
		return fmt.Errorf("node %d: an id is 1 or more", c.Node)
	case !listen.IsValid():
		return errors.New("no listen address")
	case listen.IsUnspecified() || listen.IsMulticast():
		return fmt.Errorf("%s: not an address of one host; other nodes are told this address, and take packets only from it", c.Listen)
	case c.needsTLS() && c.TLS == nil:
		return errors.New("a bins URL needs a certificate, a key and a CA")
	case c.Fixed && len(c.Peers) == 0:
		return errors.New("no peers, and none may be learned")
	}
	for i, p := range c.Peers {
		switch {
		case p.Node < 1:
			return fmt.Errorf("peer %d: an id is 1 or more", p.Node)
		case p.Node == c.Node:
			return fmt.Errorf("peer %d is this node itself", p.Node)
		case !p.URL.Addr.IsValid() || p.URL.Addr.Addr().IsUnspecified() || p.URL.Addr.Port() == 0:
			return fmt.Errorf("peer %d: %s is no address of a host", p.Node, p.URL)
		case p.URL == c.Listen:
			return fmt.Errorf("peer %d: %s is the listen address of this node", p.Node, p.URL)
		case p.URL.Addr.Addr().Is4() != c.Listen.Addr.Addr().Is4():
			return fmt.Errorf("peer %d: %s and the listen address %s are of two families", p.Node, p.URL, c.Listen)
		case len(p.Pins) > 0 && !(p.URL.TLS && c.Listen.TLS):
			return fmt.Errorf("peer %d: a pinned certificate needs bins URLs on both sides", p.Node)
		}
		for _, other := range c.Peers[:i] {
			switch {
			case other.Node == p.Node:
				return fmt.Errorf("peer %d: given twice", p.Node)
			case other.URL == p.URL:
				return fmt.Errorf("peer %d: %s is that of peer %d, too", p.Node, p.URL, other.Node)
			}
		}
	}
	return nil
}

func (c *Config) needsTLS() bool {
	needs := c.Listen.TLS
	for _, p := range c.Peers {
		needs = needs || p.URL.TLS
	}
	return needs
}

// addressOf returns the address in the URL of a node, and false if there is none that can be dialled.
func urlOf(text string) (stream.URL, bool) {
	if !strings.HasPrefix(text, "bin:") && !strings.HasPrefix(text, "bins:") {
		text = "bin:" + text // OpenSIPS takes an URL without a scheme for one of bin
	}
	u, err := stream.ParseURL(text)
	return u, err == nil && !u.Addr.Addr().IsUnspecified() && u.Addr.Port() != 0
}

// ParsePin reads the fingerprint of a certificate as openssl prints it or as plain hex: SHA-256, 32 bytes.
func ParsePin(text string) (string, error) {
	_, hexadecimal, found := strings.Cut(text, "=") // "sha256 Fingerprint=AB:CD:..."
	if !found {
		hexadecimal = text
	}
	pin := strings.ToLower(strings.ReplaceAll(hexadecimal, ":", ""))
	if b, err := hex.DecodeString(pin); err != nil || len(b) != 32 {
		return "", errors.New("not a SHA-256 fingerprint of 64 hexadecimal digits")
	}
	return pin, nil
}

// machine returns the configuration of the state machine for the URL that the listener has got.
func (c *Config) machine(own stream.URL) membership.Config {
	mc := membership.Config{
		Cluster: c.Cluster, Node: c.Node, URL: own.String(), Learn: !c.Fixed,
		Capabilities: []membership.Capability{{Name: Capability}},
		PingInterval: c.Times.PingInterval, PingTimeout: c.Times.PingTimeout, NodeTimeout: c.Times.NodeTimeout,
		PongDelay: c.Times.PongDelay,
	}
	for _, name := range c.Announce {
		mc.Capabilities = append(mc.Capabilities, membership.Capability{Name: name, Synced: true})
	}
	for _, p := range c.Peers {
		mc.Peers = append(mc.Peers, membership.Peer{Node: p.Node, URL: p.URL.String(), Addresses: []netip.Addr{p.URL.Addr.Addr()}})
	}
	return mc
}
