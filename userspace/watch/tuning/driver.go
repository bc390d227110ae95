package tuning

import "github.com/safchain/ethtool"

// AskDriver asks the driver of an interface in this thread's network namespace. What it doesn't answer stays zero: most virtual
// drivers have only some of it.
func AskDriver(name string) Driver {
	var d Driver
	e, err := ethtool.NewEthtool()
	if err != nil {
		return d
	}
	defer e.Close()
	if c, err := e.GetChannels(name); err == nil {
		// Those with both kinds have one of them in use for receiving.
		if c.MaxCombined > 0 && c.CombinedCount > 0 {
			d.Kind, d.Channels, d.MaxChannels = "combined", int(c.CombinedCount), int(c.MaxCombined)
		} else if c.MaxRx > 0 {
			d.Kind, d.Channels, d.MaxChannels = "rx", int(c.RxCount), int(c.MaxRx)
		}
	}
	if r, err := e.GetRing(name); err == nil {
		d.Ring, d.MaxRing = int(r.RxPending), int(r.RxMaxPending)
	}
	if features, err := e.Features(name); err == nil {
		// As the kernel names them, and as ethtool -K takes them.
		for _, f := range [...]struct{ kernel, option string }{{"rx-lro", "lro"}, {"rx-gro-hw", "rx-gro-hw"}} {
			if features[f.kernel] {
				d.Merging = append(d.Merging, f.option)
			}
		}
	}
	return d
}
