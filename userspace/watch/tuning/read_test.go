package tuning

import (
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

// tree makes a file system from names and texts. A text that begins with "-> " is a symbolic link.
func tree(files map[string]string) fs.FS {
	root := fstest.MapFS{}
	for name, text := range files {
		if target, isLink := strings.CutPrefix(text, "-> "); isLink {
			root[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
		} else {
			root[name] = &fstest.MapFile{Data: []byte(text + "\n")}
		}
	}
	return root
}

func TestReadHost(t *testing.T) {
	got := ReadHost(tree(map[string]string{
		"sys/devices/system/cpu/online":                        "0-2,4",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance",
		"sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "schedutil",
		"sys/devices/system/cpu/cpu2/cpufreq/scaling_governor": "schedutil",
		"sys/devices/system/cpu/cpu3/cpufreq/scaling_governor": "powersave", // of a CPU that is offline
		"sys/devices/system/node/online":                       "0-1",
		"sys/devices/system/node/node0/cpulist":                "0-2",
		"sys/devices/system/node/node1/cpulist":                "4",
		"proc/1/comm":                                          "systemd",
		"proc/321/comm":                                        "irqbalance",
		"proc/self/comm":                                       "doctor",
	}))
	want := Host{
		CPUs: []int{0, 1, 2, 4}, IRQBalance: true,
		Governors: map[string][]int{"performance": {0}, "schedutil": {1, 2}},
		Nodes:     map[int][]int{0: {0, 1, 2}, 1: {4}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := ReadHost(tree(nil)); len(got.CPUs) != 0 || got.IRQBalance || len(got.Governors) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}

// hardware is a card with two queues and a driver that reports little.
func hardware() map[string]string {
	return map[string]string{
		"sys/class/net/eth0/ifindex":              "3",
		"sys/class/net/eth0/device":               "-> ../../../devices/pci0/0000:03:00.0",
		"sys/devices/pci0/0000:03:00.0/numa_node": "1",
		"sys/class/net/eth0/queues/rx-0/rps_cpus": "00000000,0000000c",
		"sys/class/net/eth0/queues/rx-1/rps_cpus": "00000002,00000000",
		"sys/class/net/eth0/queues/tx-0/xps_cpus": "1",
		"sys/class/net/eth0/queues/tx-1/xps_cpus": "0",
		"proc/interrupts": `           CPU0       CPU1
  8:          1          0  IO-APIC   8-edge      rtc0
 44:          0         99  PCI-MSIX-0000:03:00.0   0-edge      eth0
 45:     916352          0  PCI-MSIX-0000:03:00.0   1-edge      eth0-rx-0
 46:          0     916352  PCI-MSIX-0000:03:00.0   2-edge      eth0-rx-1
 47:          0         12  PCI-MSIX-0000:03:00.0   3-edge      eth0-tx-0
 48:          0         12  PCI-MSIX-0000:04:00.0   1-edge      eth01-rx-0
 49:          0         12  PCI-MSIX-0000:05:00.0   1-edge      veth0-rx-0
NMI:          0          0   Non-maskable interrupts
ERR:          0`,
		"proc/irq/44/smp_affinity_list":       "0-3",
		"proc/irq/45/smp_affinity_list":       "0-3",
		"proc/irq/45/effective_affinity_list": "0",
		"proc/irq/46/smp_affinity_list":       "1",
		"proc/irq/46/effective_affinity_list": "",
	}
}

func TestReadLink(t *testing.T) {
	got := ReadLink(tree(hardware()), "eth0", 3)
	want := Link{
		Name: "eth0", Receive: 2, Send: 2, RPS: []int{2, 3, 33}, XPS: 1, Node: 1, HasDevice: true,
		IRQs: []IRQ{{44, "eth0", []int{0, 1, 2, 3}}, {45, "eth0-rx-0", []int{0}}, {46, "eth0-rx-1", []int{1}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	// In another network namespace, an interface with this name is a different one.
	if got := ReadLink(tree(hardware()), "eth0", 4); !reflect.DeepEqual(got, Link{Name: "eth0", Node: -1}) {
		t.Errorf("of another namespace: %+v", got)
	}
	veth := ReadLink(tree(map[string]string{
		"sys/class/net/veth0/ifindex": "7", "sys/class/net/veth0/queues/rx-0/rps_cpus": "0", "sys/class/net/veth0/queues/tx-0/traffic_class": "",
		"proc/interrupts": hardware()["proc/interrupts"],
	}), "veth0", 7)
	if !reflect.DeepEqual(veth, Link{Name: "veth0", Node: -1, Receive: 1, Send: 1}) {
		t.Errorf("veth: %+v", veth)
	}
}

// TestReadVirtio: the interrupts of virtio have the device's name, and it has no files for NUMA.
func TestReadVirtio(t *testing.T) {
	got := ReadLink(tree(map[string]string{
		"sys/class/net/eth0/ifindex":              "2",
		"sys/class/net/eth0/device":               "-> ../../../devices/virtio2",
		"sys/devices/virtio2/status":              "0x0000000f",
		"sys/class/net/eth0/queues/rx-0/rps_cpus": "0",
		"proc/interrupts": `            CPU0       CPU1
 34:        230          0 PCI-MSIX-0000:00:05.0   1-edge      virtio20-input.0
 37:          0          0 PCI-MSIX-0000:00:03.0   0-edge      virtio2-config
 38:          0      20764 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0
 39:      21858          0 PCI-MSIX-0000:00:03.0   2-edge      virtio2-output.0`,
		"proc/irq/38/smp_affinity_list": "1",
	}), "eth0", 2)
	want := Link{Name: "eth0", Receive: 1, Node: -1, HasDevice: true, IRQs: []IRQ{{38, "virtio2-input.0", []int{1}}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestReadPinned(t *testing.T) {
	root := tree(map[string]string{
		"proc/9/status": "Name:\tbinrepd\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3", "proc/9/task/9/status": "Cpus_allowed_list:\t0-3",
		"proc/9/task/10/status": "Cpus_allowed_list:\t3", "proc/9/task/11/status": "Cpus_allowed_list:\t2", "proc/9/task/12/status": "Cpus_allowed_list:\t0-3",
	})
	if got := ReadPinned(root, 9); !reflect.DeepEqual(got, []int{2, 3}) {
		t.Errorf("%v", got)
	}
	// The first thread, which proc/PID/status describes, is a bound one.
	root = tree(map[string]string{
		"proc/9/status": "Cpus_allowed_list:\t1", "proc/9/task/9/status": "Cpus_allowed_list:\t1",
		"proc/9/task/10/status": "Cpus_allowed_list:\t0-1", "proc/9/task/11/status": "Cpus_allowed_list:\t0",
	})
	if got := ReadPinned(root, 9); !reflect.DeepEqual(got, []int{0, 1}) {
		t.Errorf("the first thread is bound: %v", got)
	}
	if got := ReadPinned(root, 8); got != nil {
		t.Errorf("of no process: %v", got)
	}
}

// TestThisHost reads the host that runs the test. It has CPUs, and lo has neither a device nor interrupts.
func TestThisHost(t *testing.T) {
	root := os.DirFS("/")
	if h := ReadHost(root); len(h.CPUs) == 0 {
		t.Errorf("%+v", h)
	}
	if l := ReadLink(root, "lo", 1); l.HasDevice || len(l.IRQs) > 0 {
		t.Errorf("%+v", l)
	}
}
