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
	for {
		a.sampleLinks()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *Appliance) sampleLinks() {
	names := a.input.interfaceNames()
	readings := make([]links.Reading, len(names))
	for i, name := range names {
		readings[i] = links.Read(name)
	}
	a.links.Sample(names, readings, links.Backlog(os.DirFS("/")))
}

// interfaceNames returns the interfaces at which packets are expected: those that the program follows, and those of the
// configuration, which are the only ones without XDP.
func (in *input) interfaceNames() []string {
	var names []string
	if f := in.follower.Load(); f != nil {
		for _, s := range f.States() {
			names = append(names, s.Name)
		}
	}
	for _, name := range in.config.Interfaces {
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
	}
}

// linkNames are the names of links in the status.
var linkNames = [...]string{
	links.Missing: control.LinkMissing, links.Down: control.LinkDown, links.NoCarrier: control.LinkNoCarrier, links.Up: control.LinkUp,
}
