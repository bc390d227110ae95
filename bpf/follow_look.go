package bpf

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
)

// look compares the actual state with the wanted state and corrects the differences. It returns when to do so again though
// nothing has changed; 0: never.
func (f *Follower) look() (again time.Duration) {
	h, err := readHost()
	f.mu.Lock()
	f.trouble = err
	f.mu.Unlock()
	if err != nil {
		// A change may interrupt the dump. Its message is still to come and causes another attempt.
		f.failures++
		again = retryAfter(f.failures)
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			f.log.Warn("the state of the host can't be read; attachments stay as they are", "error", err, "next_attempt", again)
		}
		return again
	}
	f.failures = 0
	f.choose(h)
	if err := f.inform(h); err != nil {
		f.log.Warn("the program can't be told the state of the host", "error", err)
		again = lastRetry
	}
	states := make([]InterfaceState, len(f.followed))
	generic := false
	for i, one := range f.followed {
		before := one.state
		one.state = f.lookInterface(h, one)
		states[i] = one.state
		f.tell(before, one.state)
		generic = generic || one.state.Mode == Generic
		if at := one.refusal.again; one.attachment == nil && !at.IsZero() {
			if wait := max(time.Until(at), time.Millisecond); again == 0 || wait < again {
				again = wait
			}
		}
	}
	if !generic {
		if err := f.program.setMayMerge(false); err != nil {
			f.log.Warn("the program searches in vain for merged datagrams", "error", err)
		}
	}
	entries := make([][]string, len(f.program.config.Listeners))
	for i, l := range f.program.config.Listeners {
		for _, index := range h.entrancesTo(l.Addr()) {
			entries[i] = append(entries[i], h.at(index).names[0])
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.states, f.entries = states, entries
	return again
}

// choose finds out which interfaces to follow, unless their names are given. An address that no interface has any more keeps
// its last interfaces: it may come back, and attaching interrupts the link of some cards.
func (f *Follower) choose(h *host) {
	if f.choices == nil {
		return
	}
	var want []int
	for i, l := range f.program.config.Listeners {
		if now := h.entrancesTo(l.Addr()); len(now) > 0 {
			f.choices[i] = now
		}
		for _, index := range f.choices[i] {
			if h.at(index) != nil && !slices.Contains(want, index) {
				want = append(want, index)
			}
		}
	}
	f.followed = slices.DeleteFunc(f.followed, func(one *followed) bool {
		gone := !slices.Contains(want, one.index)
		if gone {
			f.drop(one)
			f.log.Info("no listen address needs the interface any more", "interface", one.state.Name)
		}
		return gone
	})
	for _, index := range want {
		if !slices.ContainsFunc(f.followed, func(one *followed) bool { return one.index == index }) {
			f.followed = append(f.followed, &followed{index: index})
		}
	}
}

// lookInterface brings one interface to the wanted state and returns its state.
func (f *Follower) lookInterface(h *host, one *followed) InterfaceState {
	state := InterfaceState{Name: one.name}
	dev := h.at(one.index)
	if one.name != "" {
		dev = h.named(one.name)
	}
	if dev == nil {
		f.drop(one)
		state.Err = fmt.Errorf("interface %s: no such interface", one.name)
		return state
	}
	if one.name == "" {
		state.Name = dev.names[0]
	}
	state.Index, state.Up, state.Carrier = dev.index, dev.up, dev.carrier
	if a := one.attachment; a != nil && (a.Index != dev.index || dev.program != f.program.ID()) {
		f.drop(one) // it is another interface now, or another program replaced ours
	}
	if one.attachment == nil {
		if !f.attempt(dev, one) {
			state.Err = one.refusal.err
			return state
		}
	}
	state.Mode, state.Err = one.attachment.Mode, one.attachment.Fallback
	return state
}

// attempt attaches the program, unless an attempt has failed and the next one isn't due.
func (f *Follower) attempt(dev *device, one *followed) (attached bool) {
	r := &one.refusal
	if r.err != nil && r.at == dev.state && (r.again.IsZero() || time.Now().Before(r.again)) {
		return false
	}
	// In case it will be in generic mode. A packet that is searched in vain costs little, and a run would be lost.
	err := f.program.setMayMerge(true)
	var a *Attachment
	if err == nil {
		a, err = f.program.Attach(dev.index, f.config.Mode)
	}
	if err != nil {
		if r.at != dev.state {
			r.failures = 0
		}
		*r = refusal{err: err, at: dev.state, failures: r.failures + 1}
		if !errors.Is(err, errors.ErrUnsupported) {
			r.again = time.Now().Add(retryAfter(r.failures))
		}
		return false
	}
	*r, one.attachment = refusal{}, a
	return true
}

// inform tells the program what it must know of the host. The interfaces that are followed need not have it yet.
func (f *Follower) inform(h *host) error {
	p := f.program
	var indexes []int
	for _, one := range f.followed {
		d := h.at(one.index)
		if one.name != "" {
			d = h.named(one.name)
		}
		if d != nil {
			indexes = append(indexes, d.index)
		}
	}
	addresses := h.addresses()
	var own []binrepdSource
	for _, a := range addresses {
		own = append(own, binrepdSource{Addr: a.As16()})
	}
	left, err := p.addresses.set(addresses)
	if left > 0 {
		f.log.Warn("too many addresses for XDP, sockets receive the rest", "left", left, "limit", MaxAddresses)
	}
	_, err2 := p.own.set(own)
	err = errors.Join(err, err2)
	if f.config.Promiscuous {
		return err
	}
	left, err2 = p.homes.set(h.homes(p.config.Listeners, indexes))
	if left > 0 {
		f.log.Warn("too many VLANs with listen addresses for XDP, sockets receive the rest", "left", left)
	}
	err = errors.Join(err, err2)
	left, err2 = p.setStations(h.stations(indexes))
	if left > 0 {
		f.log.Warn("too many MAC addresses for XDP, sockets receive the rest", "left", left, "limit", MaxStations)
	}
	return errors.Join(err, err2)
}
