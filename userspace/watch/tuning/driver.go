package tuning

import "github.com/safchain/ethtool"

// AskDriver asks the driver of an interface in the network namespace of the calling thread. Values that the driver
// doesn't report stay zero; most virtual drivers report only some.
func AskDriver(name string) Driver {
	var d Driver
	e, err := ethtool.NewEthtool()
	if err != nil {
		return d
	}
	defer e.Close()
	if c, err := e.GetChannels(name); err == nil {
		// If a driver has both kinds of channels, it uses one of them for receiving.
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
		// The names in the kernel, and those of ethtool -K.
		for _, f := range [...]struct{ kernel, option string }{{"rx-lro", "lro"}, {"rx-gro-hw", "rx-gro-hw"}} {
			if features[f.kernel] {
				d.Merging = append(d.Merging, f.option)
			}
		}
		d.StripsVLAN = features["rx-vlan-hw-parse"]
	}
	return d
}
