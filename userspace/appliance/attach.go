package appliance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"binrepd/bpf"
	"binrepd/userspace/watch/control"
)

// attach attaches the program to the interfaces and keeps it there. If that fails at an interface, auto leaves the
// interface to the sockets, native and generic make it an error.
func (in *input) attach(ctx context.Context) error {
	if in.program == nil {
		return nil
	}
	mode := bpf.Auto
	switch in.config.XDP {
	case XDPNative:
		mode = bpf.Native
	case XDPGeneric:
		mode = bpf.Generic
	}
	f, err := bpf.Follow(in.program, bpf.FollowConfig{
		Interfaces: in.config.Interfaces, Mode: mode, Promiscuous: in.config.Promiscuous, Logger: in.log,
	})
	if err != nil && in.config.XDP == XDPAuto {
		// As when the program can't be loaded: an appliance with sockets is better than none.
		in.noXDP = err
		in.log.Warn("no XDP, plain sockets instead", "reason", err)
		if in.pin != nil {
			return in.pin.Clear()
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("--xdp %s: %w", in.config.XDP, err)
	}
	in.follower.Store(f)
	if len(f.States()) == 0 && f.Trouble() == nil {
		in.log.Warn("XDP is attached nowhere yet: no Ethernet interface has a listen address; sockets receive everything until one has")
	}
	if in.config.XDP == XDPAuto {
		return nil
	}
	if err := f.Trouble(); err != nil {
		return fmt.Errorf("--xdp %s: %w", in.config.XDP, err)
	}
	for _, s := range f.States() {
		if !s.Attached() {
			return fmt.Errorf("--xdp %s: %w", in.config.XDP, s.Err)
		}
	}
	return nil
}

// detach removes the program from the interfaces: nothing new comes into the rings.
func (in *input) detach() {
	if f := in.follower.Load(); f != nil {
		if err := f.Close(); err != nil {
			in.log.Warn("detach", "error", err)
		}
	}
}

func (in *input) close() (err error) {
	in.detach()
	for _, r := range in.rings {
		err = errors.Join(err, r.Close())
	}
	if in.program != nil {
		err = errors.Join(err, in.program.Close())
	}
	for _, s := range in.sockets {
		err = errors.Join(err, s.Close())
	}
	if in.pin != nil {
		err = errors.Join(err, in.pin.Close())
	}
	return err
}

// inputStatus is what the ways in contribute to the status.
type inputStatus struct {
	mode, reason string
	interfaces   []control.InterfaceStatus
	rings        []control.RingStatus
	listeners    []control.ListenerStatus // without Address and outcomes
}

func (in *input) status() inputStatus {
	s := inputStatus{
		mode: control.ModeSocket, interfaces: []control.InterfaceStatus{}, rings: []control.RingStatus{},
		listeners: make([]control.ListenerStatus, len(in.sockets)),
	}
	if in.noXDP != nil {
		s.reason = in.noXDP.Error()
	}
	if f := in.follower.Load(); f != nil {
		s.attachments(f.States(), f.Trouble())
	}
	for _, r := range in.rings {
		st := r.Stats()
		s.rings = append(s.rings, control.RingStatus{
			Records: st.Records, Size: st.Size, Fill: st.Fill, HighWater: st.HighWater,
			Refused: st.Refused, LateWakeups: st.LateWakeups,
		})
	}
	for i, sock := range in.sockets {
		st := sock.Stats()
		l := &s.listeners[i]
		l.Socket = st.Received
		l.Denied = st.Denied
		l.Lost = map[string]uint64{"socket_buffer": st.Dropped, "truncated": st.Truncated, "rate_limited": st.RateLimited}
		l.ReceiveBuffer, _ = sock.ReceiveBuffer()
		l.Waiting = st.Waiting
	}
	if in.program != nil {
		s.frames(in.program.Counters())
	}
	for i := range s.listeners {
		l := &s.listeners[i]
		l.Seen = l.Steered + l.Socket + l.Denied + sum(l.Lost)
	}
	if f := in.follower.Load(); f != nil && len(s.listeners) > 0 {
		s.hints(f.Entrances())
	}
	return s
}

// attachments fills in how packets come from each interface. The mode of the whole is the slowest one, with its reason.
func (s *inputStatus) attachments(list []bpf.InterfaceState, trouble error) {
	s.mode = control.ModeNative
	if len(list) == 0 {
		s.mode, s.reason = control.ModeSocket, "no Ethernet interface has a listen address"
	}
	for _, i := range list {
		st := control.InterfaceStatus{Name: i.Name, Mode: control.ModeSocket, Link: control.LinkUp}
		switch {
		case i.Index == 0:
			st.Link = control.LinkMissing
		case !i.Up:
			st.Link = control.LinkDown
		case !i.Carrier:
			st.Link = control.LinkNoCarrier
		}
		switch i.Mode {
		case bpf.Native:
			st.Mode = control.ModeNative
		case bpf.Generic:
			st.Mode = control.ModeGeneric
		}
		if i.Err != nil {
			st.Reason = i.Err.Error()
		}
		if trouble != nil {
			st.Reason = strings.TrimPrefix(st.Reason+"; ", "; ") + "changes go unnoticed now: " + trouble.Error()
		}
		s.interfaces = append(s.interfaces, st)
		if slower(st.Mode, s.mode) {
			s.mode, s.reason = st.Mode, st.Reason
		}
	}
}

// hintAfter is how many datagrams a listener gets by its socket before the status wonders why none came through XDP.
const hintAfter = 16

// hints says what to do for each listener that gets everything by its socket although XDP is attached somewhere. entrances
// are the interfaces where XDP would see the frames to each listener.
func (s *inputStatus) hints(entrances [][]string) {
	var attached []string
	for _, i := range s.interfaces {
		if i.Mode != control.ModeSocket {
			attached = append(attached, i.Name)
		}
	}
	if len(attached) == 0 {
		return // the reason is at the interface
	}
	for i := range min(len(s.listeners), len(entrances)) {
		l := &s.listeners[i]
		if l.Steered > 0 || sum(l.Passed) > 0 || l.Socket < hintAfter {
			continue
		}
		better := slices.DeleteFunc(slices.Clone(entrances[i]), func(name string) bool { return slices.Contains(attached, name) })
		l.Hint = "all packets come by the socket, none passes XDP on " + strings.Join(attached, ", ") + "; "
		switch {
		case len(better) > 0:
			l.Hint += "give --interface " + strings.Join(better, " --interface ")
		case len(entrances[i]) == 0:
			l.Hint += "no Ethernet interface has the address"
		default:
			l.Hint += "give the interface by which they come in with --interface"
		}
	}
}

// slower reports whether mode a is slower than mode b.
func slower(a, b string) bool {
	rank := func(mode string) int {
		switch mode {
		case control.ModeNative:
			return 0
		case control.ModeGeneric:
			return 1
		}
		return 2
	}
	return rank(a) > rank(b)
}

// frames fills in what the program counted.
func (s *inputStatus) frames(c bpf.Counters, err error) {
	if err != nil {
		return // the map is gone with the program: the appliance is being closed
	}
	for i := range s.listeners {
		l := &s.listeners[i]
		l.Passed = map[string]uint64{}
		for v, n := range c.Listeners[i] {
			switch verdict := bpf.Verdict(v); {
			case verdict == bpf.Steered:
				l.Steered = n
			case verdict == bpf.Denied:
				l.Denied += n
			case verdict == bpf.RateLimited:
				l.Lost["rate_limited"] += n
			case verdict != bpf.Other: // Other counts frames to no listener
				l.Passed[verdict.String()] = n
			}
		}
	}
}
