package main

import (
	"errors"
	"fmt"
	"net"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// place is the environment of the demo.
type place struct {
	story  string
	flags  []string     // of binrepd run
	listen *net.UDPAddr // the appliance's address
	proxy  *net.UDPConn // the proxy's socket
}

const (
	applianceLink = "bin0"
	proxyLink     = "proxy0"
	binPort       = 5556 // OpenSIPS has no default; this is what its examples use
)

var errUnprivileged = errors.New("not permitted")

// newPlace makes namespaces if it is permitted, and otherwise uses loopback.
func newPlace() (*place, error) {
	p, err := newNamespaces()
	if errors.Is(err, errUnprivileged) {
		return newLoopback()
	}
	return p, err
}

func newLoopback() (*place, error) {
	proxy, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	// Use a free port, so that the demo doesn't disturb other programs here.
	free, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		proxy.Close()
		return nil, err
	}
	defer free.Close()
	return &place{
		story:  "No privilege to make network namespaces or to load XDP programs: loopback and plain sockets instead. As root you would see XDP.",
		flags:  []string{"--xdp", "off"},
		listen: free.LocalAddr().(*net.UDPAddr),
		proxy:  proxy,
	}, nil
}

// newNamespaces makes two namespaces joined by a veth pair. It leaves the calling thread in the appliance's namespace;
// the goroutine stays locked to it. The namespaces have no name and end with their last process.
func newNamespaces() (*place, error) {
	runtime.LockOSThread()
	proxyNS, err := netns.New()
	if errors.Is(err, unix.EPERM) {
		runtime.UnlockOSThread() // still in its old namespace
		return nil, errUnprivileged
	}
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	defer proxyNS.Close()
	applianceNS, err := netns.New()
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	defer applianceNS.Close()

	// One queue each is enough, and every kernel supports that.
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: applianceLink, NumTxQueues: 1, NumRxQueues: 1},
		PeerName:  proxyLink, PeerNamespace: netlink.NsFd(int(proxyNS)),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("veth pair: %w", err)
	}
	if err := bringUp(applianceLink, "10.99.0.2/24"); err != nil {
		return nil, err
	}
	if err := netns.Set(proxyNS); err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	if err := bringUp(proxyLink, "10.99.0.1/24"); err != nil {
		return nil, err
	}
	proxy, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 99, 0, 1), Port: binPort - 1})
	if err != nil {
		return nil, err
	}
	if err := netns.Set(applianceNS); err != nil {
		proxy.Close()
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	return &place{
		story:  "Two network namespaces, one for a simulated proxy and one for the appliance, joined by a veth pair.",
		flags:  []string{"--interface", applianceLink},
		listen: &net.UDPAddr{IP: net.IPv4(10, 99, 0, 2), Port: binPort},
		proxy:  proxy,
	}, nil
}

func bringUp(name, address string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	addr, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, addr); err != nil {
		return fmt.Errorf("%s: add %s: %w", name, address, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("%s: set up: %w", name, err)
	}
	return nil
}
