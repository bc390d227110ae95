package appliance

import (
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
)

func TestGroupLimit(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  uint64
	}{
		{"nothing", nil, 0},
		{"v2", map[string]string{
			"proc/self/cgroup": "0::/system.slice/binrepd.service\n",
			"sys/fs/cgroup/system.slice/binrepd.service/memory.max": "2147483648\n",
		}, 2 << 30},
		{"v2, none", map[string]string{
			"proc/self/cgroup": "0::/system.slice/binrepd.service\n",
			"sys/fs/cgroup/system.slice/binrepd.service/memory.max": "max\n",
		}, 0},
		{"v2, lower above", map[string]string{
			"proc/self/cgroup": "0::/system.slice/binrepd.service\n",
			"sys/fs/cgroup/system.slice/binrepd.service/memory.max": "2147483648\n",
			"sys/fs/cgroup/system.slice/memory.max":                 "1073741824\n",
		}, 1 << 30},
		{"v2, high", map[string]string{
			"proc/self/cgroup":           "0::/a\n",
			"sys/fs/cgroup/a/memory.max": "2147483648\n", "sys/fs/cgroup/a/memory.high": "1000000000\n",
		}, 1000000000},
		{"v2 in a container", map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "536870912\n",
		}, 512 << 20},
		{"v1", map[string]string{
			"proc/self/cgroup": "12:cpu,cpuacct:/x\n5:memory:/docker/4711\n1:name=systemd:/x\n",
			"sys/fs/cgroup/memory/docker/4711/memory.limit_in_bytes": "1073741824\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":             "9223372036854771712\n",
		}, 1 << 30},
		{"v1 in a container, with the host's path", map[string]string{
			"proc/self/cgroup":                           "5:memory:/docker/4711\n0::/docker/4711\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
		}, 256 << 20},
		{"v1, none", map[string]string{
			"proc/self/cgroup":                           "5:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 0},
		{"both", map[string]string{
			"proc/self/cgroup": "5:memory:/a\n0::/a\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "268435456\n",
			"sys/fs/cgroup/unified/a/memory.max":           "max\n",
		}, 256 << 20},
		{"not understood", map[string]string{
			"proc/self/cgroup":         "\nfoo\n0::/../..\n",
			"sys/fs/cgroup/memory.max": "many\n",
		}, 0},
	} {
		root := fstest.MapFS{}
		for name, text := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := groupLimit(root); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestSettleMemory(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name             string
		asked, ram, room uint64
		xdp              string
		want             uint64
		problem          string
	}{
		{"host", 0, 10*gib + 192<<20, 0, XDPAuto, 8 * gib, ""},
		{"group", 0, 100 * gib, 10*gib + 192<<20, XDPNative, 8 * gib, ""},
		{"a group larger than the host", 0, 10*gib + 192<<20, 100 * gib, XDPNative, 8 * gib, ""},
		{"no rings", 0, 10*gib + 64<<20, 0, XDPOff, 8 * gib, ""},
		{"asked", gib, 10 * gib, 2 * gib, XDPAuto, gib, ""},
		{"more than the group", 3 * gib, 10 * gib, 2 * gib, XDPAuto, 0, "more than the control group's 2.0 GiB"},
		{"more than the host", 11 * gib, 10 * gib, 0, XDPAuto, 0, "more than this host's 10 GiB"},
		{"all for rings", 0, 10 * gib, 128 << 20, XDPAuto, 0, "nothing is left for dialogs"},
		{"a small group", 0, 10 * gib, (192 + 64 + 100) << 20, XDPAuto, 100 << 20, ""},
		{"too small a group", 0, 10 * gib, (192 + 64 + 3) << 20, XDPAuto, 0, "and the process itself 64 MiB"},
	} {
		o := Config{MaxMemory: c.asked, XDP: c.xdp, Rings: 2, RingSize: 64 << 20, ReplicateQueue: 64 << 20}
		err := o.settleMemory(Host{Memory: c.ram, MemoryLimit: c.room})
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %v, want %q", c.name, err, c.problem)
		}
		if err == nil && (o.MaxMemory > c.want || o.MaxMemory < c.want-100) { // whole percents
			t.Errorf("%s: %d, want %d", c.name, o.MaxMemory, c.want)
		}
	}
	// The recorder has 16 MiB for each of three addresses, and nothing of its own for rings.
	o := Config{XDP: XDPAuto, Rings: 2, RingSize: 64 << 20, Listen: make([]netip.AddrPort, 3), Record: "d"}
	err := o.settleMemory(Host{Memory: (128 + 64 + 40) << 20})
	if err == nil || !strings.Contains(err.Error(), "rings, --replicate-queue and --record (48 MiB of buffers") {
		t.Errorf("with --record: %v", err)
	}
	if err := o.settleMemory(Host{Memory: (128 + 64 + 48 + 5) << 20}); err != nil || o.MaxMemory != 5<<20 {
		t.Errorf("with --record: %d, %v", o.MaxMemory, err)
	}
}
