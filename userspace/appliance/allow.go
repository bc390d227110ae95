package appliance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"binrepd/bpf"
	"binrepd/userspace/in/gate"
	"binrepd/userspace/watch/control"
)

// burst is how many packets a source may send at once: proxies send the events of one moment together.
func burst(rate int) int { return max(rate/10, 100) }

// Allowed returns the sources that packets are taken from; an empty list means every source.
func (a *Appliance) Allowed() control.AllowList { return a.input.allowed() }

// Allow changes the allowed sources, for as long as the appliance runs. A wrong request is a *control.RequestError.
func (a *Appliance) Allow(ctx context.Context, req control.AllowRequest) (control.AllowList, error) {
	return a.input.allow(ctx, req)
}

func (in *input) allowed() control.AllowList {
	list := control.AllowList{Allow: []string{}}
	for _, p := range in.gate.Allowed() {
		list.Allow = append(list.Allow, p.String())
	}
	return list
}

func (in *input) allow(_ context.Context, req control.AllowRequest) (control.AllowList, error) {
	in.allowing.Lock()
	defer in.allowing.Unlock()
	list, err := changeAllowed(in.gate.Allowed(), req)
	if err != nil {
		return control.AllowList{}, &control.RequestError{Err: err}
	}
	if err := in.setAllowed(list); err != nil {
		return control.AllowList{}, err
	}
	in.log.Info("the allowed sources have changed", "added", req.Add, "removed", req.Remove, "prefixes", len(list))
	return in.allowed(), nil
}

// setAllowed puts a list into force on both ways in.
func (in *input) setAllowed(list []netip.Prefix) error {
	if in.program != nil {
		if err := in.program.Allow(list); err != nil {
			return err
		}
	}
	in.gate.Allow(list)
	return nil
}

// changeAllowed returns list as req changes it.
func changeAllowed(list []netip.Prefix, req control.AllowRequest) ([]netip.Prefix, error) {
	for _, s := range req.Add {
		p, err := gate.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	for _, s := range req.Remove {
		p, err := gate.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		i := slices.Index(list, p)
		if i < 0 {
			return nil, fmt.Errorf("%s is not on the list: see binrepd allow list", p)
		}
		list = slices.Delete(list, i, i+1)
	}
	switch {
	case len(list) == 0:
		return nil, errors.New("with nothing on the list everyone could speak: if that is wanted, add 0.0.0.0/0 and ::/0")
	case len(list) > bpf.MaxAllowed:
		return nil, fmt.Errorf("%d prefixes are too many; at most %d", len(list), bpf.MaxAllowed)
	}
	return list, nil
}

// topRefused is how many refused sources the status names.
const topRefused = 10

// refusals fills in the allowed sources and those that were refused most, on either way in.
func (in *input) refusals(s *control.Status) {
	s.Allow, s.SourceRate = in.allowed().Allow, in.config.SourceRate
	var denied, limited []bpf.SourceCount
	if in.program != nil {
		// An error means that the maps are gone with the program: the appliance is being closed.
		denied, _ = in.program.Denied()
		limited, _ = in.program.Limited()
	}
	s.Denied = mostRefused(denied, in.gate.Denied())
	s.RateLimited = mostRefused(limited, in.gate.Limited())
}

// mostRefused adds up what both ways in refused, and returns the sources with most packets.
func mostRefused(xdp []bpf.SourceCount, sockets []gate.Count) []control.RefusedSource {
	sum := map[netip.Addr]uint64{}
	for _, c := range xdp {
		sum[c.Source] += c.Datagrams
	}
	for _, c := range sockets {
		sum[c.Source] += c.Datagrams
	}
	list := make([]control.RefusedSource, 0, len(sum))
	for source, n := range sum {
		list = append(list, control.RefusedSource{Address: source.String(), Datagrams: n})
	}
	slices.SortFunc(list, func(a, b control.RefusedSource) int {
		return cmp.Or(cmp.Compare(b.Datagrams, a.Datagrams), cmp.Compare(a.Address, b.Address))
	})
	return list[:min(len(list), topRefused)]
}
