package member

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"binrepd/userspace/in/stream"
)

var errPin = errors.New("the certificate isn't the one that the node is pinned to")

func fingerprint(c *stream.Certificate) string {
	if c == nil {
		return "none was given"
	}
	return stream.Fingerprint(c)
}

// verifyPeer refuses a certificate that no node of the peer's address is pinned to.
func (m *Member) verifyPeer(peer stream.PeerInfo, certificate *stream.Certificate) error {
	if !m.pinned(peer.Remote.Addr(), 0, certificate) {
		return fmt.Errorf("%w: %s", errPin, fingerprint(certificate))
	}
	return nil
}

// pinned tells whether a peer at that address may have that certificate: whether it is one of those of the node, or, if
// the node isn't known yet (0), of any node there. An address without pins may have any.
func (m *Member) pinned(from netip.Addr, id int32, certificate *stream.Certificate) bool {
	found := false
	for _, p := range m.cfg.Peers {
		if p.URL.Addr.Addr() != from || id != 0 && p.Node != id {
			continue
		}
		if len(p.Pins) == 0 || certificate != nil && slices.Contains(p.Pins, stream.Fingerprint(certificate)) {
			return true
		}
		found = true
	}
	return !found
}
