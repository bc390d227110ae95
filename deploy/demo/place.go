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
	page   net.Listener // where the host sees the page; nil without one
}

func (p *place) close() {
	p.proxy.Close()
	if p.page != nil {
		p.page.Close()
	}
}

const (
	applianceLink = "bin0"
	proxyLink     = "proxy0"
	binPort       = 5556 // OpenSIPS has no default; this is what its examples use
)

var errUnprivileged = errors.New("not permitted")

// newPlace makes namespaces if it is permitted, and otherwise uses loopback. With a page, the host can see the appliance's.
func newPlace(page bool) (*place, error) {
	var listener net.Listener
	if page {
		var err error
		if listener, err = openPage(); err != nil {
			return nil, fmt.Errorf("the page: %w", err)
		}
	}
	p, err := newNamespaces(listener)
	if errors.Is(err, errUnprivileged) {
		p, err = newLoopback(listener)
	}
	if err != nil && listener != nil {
		listener.Close()
	}
	return p, err
}

// newLoopback uses the host's loopback. The appliance serves its page itself, at the address that listener held.
func newLoopback(listener net.Listener) (*place, error) {
	metrics := "off"
	if listener != nil {
		metrics = listener.Addr().String()
		listener.Close()
	}
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
		flags:  []string{"--xdp", "off", "--metrics", metrics},
		listen: free.LocalAddr().(*net.UDPAddr),
		proxy:  proxy,
		page:   listener,
	}, nil
}

// newNamespaces makes two namespaces joined by a veth pair. It leaves the calling thread in the appliance's namespace;
// the goroutine stays locked to it. The namespaces have no name and end with their last process. With a listener, connections
// to it are passed on to the appliance's page.
func newNamespaces(listener net.Listener) (*place, error) {
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
	if listener == nil {
		defer applianceNS.Close()
	} // else servePage needs it until the demo ends

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
	metrics := "off"
	if listener != nil {
		if err := linkUp("lo"); err != nil {
			proxy.Close()
			return nil, err
		}
		metrics = pageAddress
		go servePage(listener, applianceNS)
	}
	return &place{
		page:   listener,
		story:  "Two network namespaces, one for a simulated proxy and one for the appliance, joined by a veth pair.",
		flags:  []string{"--interface", applianceLink, "--metrics", metrics},
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
	return linkUp(name)
}

func linkUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("%s: set up: %w", name, err)
	}
	return nil
}
