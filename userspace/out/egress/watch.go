package egress

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"binrepd/userspace/in/packets"
)

const (
	// A name is looked up again after lookupFirst, and then after twice as long each time, up to lookupLast.
	lookupFirst, lookupLast = time.Second, 30 * time.Second
	// lookupTime is how long one look-up may take.
	lookupTime = 10 * time.Second
)

// watch resolves the destination's name, again and again, more often while the destination isn't up, and writes its changes of state to the log. It has
// a goroutine of its own, because both may take long.
func (d *destination) watch(ctx context.Context) {
	log := d.egress.cfg.Log.With("destination", d.cfg.Address)
	logged, aimed := Resolving, target{}
	wait := lookupFirst
	again := time.NewTimer(0) // a name is looked up at once
	defer again.Stop()
	if d.host == "" {
		again.Stop()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.poke:
		case <-again.C:
			moved, err := d.lookUp(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case moved:
				if _, endpoint, _ := d.standing(); logged == Up {
					log.Warn("destination has another address, and needs a sync", "endpoint", endpoint.String())
				}
				wait = lookupFirst
				d.egress.aim()
				again.Reset(lookupLast)
			default:
				if err != nil && d.noteLookup(err) {
					log.Warn("destination not resolved; trying again", "error", err)
				}
				if logged == Up {
					again.Reset(lookupLast)
					break
				}
				again.Reset(wait)
				wait = min(2*wait, lookupLast)
			}
		}
		if note := d.takeTooLong(); note != "" {
			log.Warn("an event is too long for a datagram and was held back; further ones are only counted", "call", note)
		}
		if now := d.aimed(); now != aimed {
			aimed = now
			d.egress.aim()
		}
		state, endpoint, cause := d.standing()
		if state == logged {
			continue
		}
		logged = state
		if state == Up {
			log.Info("destination is up", "endpoint", endpoint.String())
			wait = lookupFirst
			if d.host != "" { // it may move while it seems up: packets to where nobody is may just vanish
				again.Reset(lookupLast)
			}
			continue
		}
		log.Warn("destination is "+state.String(), "endpoint", endpoint.String(), "error", cause)
		if d.host != "" {
			again.Reset(wait)
		}
	}
}

func (d *destination) standing() (State, packets.Endpoint, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state, d.endpoint, d.cause
}

// lookUp resolves the name and tells whether that gave the destination another endpoint. The destination keeps its address as long as
// that is one of the name's. Otherwise it gets an IPv4 address if there is one.
func (d *destination) lookUp(ctx context.Context) (moved bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	addrs, err := d.egress.cfg.Resolve(ctx, d.host)
	if err != nil {
		return false, fmt.Errorf("resolve %s: %w", d.host, err)
	}
	if len(addrs) == 0 {
		return false, fmt.Errorf("resolve %s: no address", d.host)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	if slices.Contains(addrs, d.target().AddrPort().Addr()) {
		return false, nil
	}
	addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return d.egress.cfg.Own(netip.AddrPortFrom(a, d.port)) })
	if len(addrs) == 0 {
		return false, fmt.Errorf("resolve %s: its address %w", d.host, ErrOwn)
	}
	chosen := addrs[0]
	if i := slices.IndexFunc(addrs, netip.Addr.Is4); i >= 0 {
		chosen = addrs[i]
	}
	return d.locate(packets.EndpointOf(netip.AddrPortFrom(chosen, d.port))), nil
}

// noteLookup notes why the name wasn't resolved, and tells whether that is the first failure in this state.
func (d *destination) noteLookup(err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := d.state == Resolving && d.cause == nil
	if d.state == Resolving {
		d.cause = err
	}
	return first
}
