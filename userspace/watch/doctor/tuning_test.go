package doctor

import (
	"slices"
	"testing"
	"time"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/in/thread"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/tuning"
)

func TestDaemonFacts(t *testing.T) {
	now := time.Unix(1_795_000_000, 0)
	s := control.Status{Started: now.Add(-100 * time.Second), Dialogs: 90, Early: 10, Memory: control.Memory{Records: 50_000}}
	s.Seen = 5000
	s.Rings = []control.RingStatus{{Size: 1 << 20, HighWater: 4096}}
	s.Sources = []control.SourceStatus{{Rate: 20}, {Rate: 10}}
	got := daemonFacts(&s, now)
	if got.Rate != 50 || got.RecordBytes != 500+recordHeader || len(got.Rings) != 1 || got.Rings[0] != (tuning.Ring{Size: 1 << 20, HighWater: 4096}) {
		t.Errorf("%+v", got)
	}
	s.Sources[0].Rate = 200
	if got := daemonFacts(&s, now); got.Rate != 210 {
		t.Errorf("rate %v, want that of now", got.Rate)
	}
	if got := daemonFacts(&control.Status{Started: now}, now); got.Rate != 0 || got.RecordBytes != usualRecord {
		t.Errorf("of one that has just started: %+v", got)
	}
}

// TestExamineAdvises examines a veth with two queues, one of them unused.
func TestExamineAdvises(t *testing.T) {
	ns := bpftest.NewNamespace(t)
	ns.Do(func() error {
		veth := netlink.NewVeth(netlink.NewLinkAttrs())
		veth.Name, veth.NumRxQueues, veth.NumTxQueues, veth.PeerName = "wide0", 2, 2, "wide1"
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		_, err = e.SetChannels("wide0", ethtool.Channels{RxCount: 1, TxCount: 2})
		return err
	})
	got := examineIn(t, ns, "wide0")
	if cpus, err := thread.Allowed(); err == nil && len(cpus) > 1 {
		checkFindings(t, "wide0", got.Findings, "channels", Warning, "1 of at most 2 rx\nshould be 2, so that as many CPUs run the XDP program: ethtool -L wide0 rx 2")
	}
	for _, f := range got.Findings {
		if slices.Contains([]string{"irq_affinity", "rps", "offloads", "descriptors"}, f.Check) {
			t.Errorf("a veth has none of these: %+v", f)
		}
	}
}
