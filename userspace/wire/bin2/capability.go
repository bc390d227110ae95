package bin2

// Capability is a capability with a name that is known. Others are OtherCapability; Packet.Name has their name.
type Capability uint8

// The capabilities of the releases 2.4 to 4.0.
const (
	OtherCapability Capability = iota
	Internal                   // clusterer: pings, topology, capabilities; the only one without a trailer
	Extra                      // clusterer: syncs, tags, commands
	Dialogs
	Profiles // counts of dialog profiles
	Contacts
	Transactions
	RateLimits
	Presence
	PresenceUserAgent
	Dispatcher
	Routes
	LoadBalancer
	LocalCache
	BackToBack
	// Capabilities is the number of values, for arrays of counters.
	Capabilities
)

var capabilityNames = [...]string{
	OtherCapability:   "",
	Internal:          "clusterer-internal",
	Extra:             "clusterer-extra",
	Dialogs:           "dialog-dlg-repl",
	Profiles:          "dialog-prof-repl",
	Contacts:          "usrloc-contact-repl",
	Transactions:      "tm-repl",
	RateLimits:        "ratelimit-pipe-repl",
	Presence:          "presence",
	PresenceUserAgent: "pua",
	Dispatcher:        "dispatcher-status-repl",
	Routes:            "drouting-status-repl",
	LoadBalancer:      "load_balancer-status-repl",
	LocalCache:        "cachedb-local-repl",
	BackToBack:        "b2be-entities-repl",
}

// String returns the name on the wire, or "" for OtherCapability.
func (c Capability) String() string {
	if c >= Capabilities {
		return ""
	}
	return capabilityNames[c]
}

// CapabilityOf returns the capability with that name on the wire.
func CapabilityOf(name []byte) Capability {
	switch string(name) { // the compiler compares without making a string
	case "dialog-dlg-repl":
		return Dialogs
	case "clusterer-internal":
		return Internal
	case "clusterer-extra":
		return Extra
	case "dialog-prof-repl":
		return Profiles
	case "usrloc-contact-repl":
		return Contacts
	case "tm-repl":
		return Transactions
	case "ratelimit-pipe-repl":
		return RateLimits
	case "presence":
		return Presence
	case "pua":
		return PresenceUserAgent
	case "dispatcher-status-repl":
		return Dispatcher
	case "drouting-status-repl":
		return Routes
	case "load_balancer-status-repl":
		return LoadBalancer
	case "cachedb-local-repl":
		return LocalCache
	case "b2be-entities-repl":
		return BackToBack
	}
	return OtherCapability
}
