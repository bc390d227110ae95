package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/vishvananda/netns"

	"binrepd/userspace/wire/bin1/bin1test"
)

// pageAddress is where the page is shown, in the appliance's namespace and to the host.
const pageAddress = "127.0.0.1:9470"

// openPage returns a listener in the host's namespace, if need be with a port of the system's choice. It must be called
// before the thread changes its namespace.
func openPage() (net.Listener, error) {
	l, err := net.Listen("tcp4", pageAddress)
	if err != nil {
		l, err = net.Listen("tcp4", "127.0.0.1:0")
	}
	return l, err
}

// servePage passes connections to the page in the namespace ns on, until the listener is closed.
func servePage(l net.Listener, ns netns.NsHandle) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			page, err := dialIn(ns, pageAddress)
			if err != nil {
				return
			}
			defer page.Close()
			go func() {
				io.Copy(page, c)
				page.(*net.TCPConn).CloseWrite()
			}()
			io.Copy(c, page)
		}()
	}
}

// dialIn connects from the namespace ns. The calling goroutine's thread ends with the goroutine, because it can't be used
// for anything else afterwards.
func dialIn(ns netns.NsHandle, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked
		if err := netns.Set(ns); err != nil {
			done <- result{nil, err}
			return
		}
		conn, err := net.Dial("tcp4", address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

// keep plays a few packets a second until ctx ends, so that a user can look around.
func keep(ctx context.Context, p *place, proxy *bin1test.Proxy, socket, program string) error {
	say("The appliance goes on running, with new calls all the time. Ctrl-C ends it.\n"+
		"# The page: http://%s/   The live view, in another terminal:\n#\n#     sudo BINREPD_CONTROL=%s %s top",
		p.page.Addr(), socket, program)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var packet []byte
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			packet = proxy.Next(packet[:0])
			if _, err := p.proxy.WriteToUDP(packet, p.listen); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return fmt.Errorf("send: %w", err)
			}
		}
	}
}
