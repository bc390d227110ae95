package appliance

import (
	"context"
	"os"
	"slices"
	"time"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/links"
)

// watchLinks samples the interfaces once a second until ctx ends. It has a goroutine of its own: the kernel may hold its
// lock of interfaces for seconds, and nothing else may wait for that.
func (a *Appliance) watchLinks(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	owners := a.listenInterfaces()
	expected := slices.Concat(owners, a.config.Interfaces)
	a.expected.Store(&expected)
	for {
		a.sampleLinks(owners)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// listenInterfaces returns the interfaces that have a listen address now. Any interface may serve a wildcard address, so
// that it names none: one that nobody uses is no problem.
func (a *Appliance) listenInterfaces() (names []string) {
	h, err := ReadHost()
	if err != nil {
		a.log.Debug("interfaces of the listen addresses", "error", err)
		return nil
	}
	for _, ap := range a.config.Listen {
		if !ap.Addr().IsUnspecified() {
			names = append(names, h.owners(ap.Addr())...)
		}
	}
	return names
}

func (a *Appliance) sampleLinks(owners []string) {
	names := a.input.interfaceNames(owners)
	readings := make([]links.Reading, len(names))
	for i, name := range names {
		readings[i] = links.Read(name)
	}
	a.links.Sample(names, readings, links.Backlog(os.DirFS("/")))
}

// interfaceNames returns the interfaces at which packets are expected: those that the program follows, or without XDP
// those of the configuration and the owners of the listen addresses.
func (in *input) interfaceNames(owners []string) (names []string) {
	if f := in.follower.Load(); f != nil {
		for _, s := range f.States() {
			names = append(names, s.Name)
		}
		return names
	}
	for _, name := range slices.Concat(in.config.Interfaces, owners) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// linkStatus fills in the links of the interfaces, and what they lost. Without XDP it adds the interfaces.
func (a *Appliance) linkStatus(s *control.Status) {
	for _, l := range a.links.States() {
		i := slices.IndexFunc(s.Interfaces, func(i control.InterfaceStatus) bool { return i.Name == l.Name })
		if i < 0 {
			s.Interfaces, i = append(s.Interfaces, control.InterfaceStatus{Name: l.Name, Mode: control.ModeSocket}), len(s.Interfaces)
		}
		st := &s.Interfaces[i]
		st.Lost, st.Dropped, st.Missed, st.Queues = l.Lost, l.Dropped, l.Missed, l.Queues
		if st.Link == "" { // the follower of XDP knows it earlier
			st.Link = linkNames[l.Link]
		}
		// Any interface may serve a wildcard address, and many hosts have some without a cable.
		st.Unused = st.Link == control.LinkNoCarrier && !l.WasUp && !a.expects(l.Name)
	}
}

// expects reports whether packets are expected at an interface: because it is named, or has a listen address.
func (a *Appliance) expects(name string) bool {
	list := a.expected.Load()
	return list != nil && slices.Contains(*list, name)
}

// linkNames are the names of links in the status.
var linkNames = [...]string{
	links.Missing: control.LinkMissing, links.Down: control.LinkDown, links.NoCarrier: control.LinkNoCarrier, links.Up: control.LinkUp,
}
