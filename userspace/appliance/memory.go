package appliance

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"binrepd/userspace/trace/record"
)

// tableShare is the part of the memory, in percent, that the table may use if MaxMemory is 0. The rest is for socket
// buffers (64 MiB for each listen address), the Go runtime and other processes. It is leastRest bytes at least, because
// the process needs 30 MiB and more under load beside its table, which would fill a small control group.
const (
	tableShare = 80
	leastRest  = 64 << 20
)

// available returns how many bytes of memory the process may use at most, and whose limit that is.
func (h *Host) available() (bytes uint64, whose string) {
	if h.MemoryLimit > 0 && h.MemoryLimit < h.Memory {
		return h.MemoryLimit, "the control group's"
	}
	return h.Memory, "this host's"
}

// settleMemory checks MaxMemory, or chooses it so low that the kernel never kills the process because of its table.
func (c *Config) settleMemory(h Host) error {
	all, whose := h.available()
	if c.MaxMemory > all {
		return fmt.Errorf("--max-memory %s: more than %s %s", humanize.IBytes(c.MaxMemory), whose, humanize.IBytes(all))
	}
	if c.MaxMemory > 0 {
		return nil
	}
	taken := uint64(c.ReplicateQueue) + c.recordBuffers()
	if c.XDP != XDPOff {
		taken += uint64(c.Rings) * uint64(c.RingSize)
	}
	if taken+leastRest < all {
		left := all - taken
		c.MaxMemory = min(left/100*tableShare, left-leastRest)
	}
	if c.MaxMemory < MinMemory {
		takers := "rings and --replicate-queue"
		if n := c.recordBuffers(); n > 0 {
			takers = fmt.Sprintf("rings, --replicate-queue and --record (%s of buffers, for fewer addresses less)", humanize.IBytes(n))
		}
		return fmt.Errorf("of %s %s, %s take %s, and the process itself %s: nothing is left for dialogs; choose smaller ones",
			whose, humanize.IBytes(all), takers, humanize.IBytes(taken), humanize.IBytes(leastRest))
	}
	return nil
}

// groupLimit returns the memory limit of this process's control group, of version 2 or 1, in bytes, or of a group above it
// if that limit is lower; 0 for none. root is the root of the file system. Formats: cgroups(7), and cgroup-v2 and
// cgroup-v1/memory of the kernel's admin-guide.
func groupLimit(root fs.FS) uint64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	lowest := uint64(0)
	take := func(limit uint64) {
		if limit > 0 && (lowest == 0 || limit < lowest) {
			lowest = limit
		}
	}
	for line := range strings.Lines(string(groups)) {
		// hierarchy-ID:controllers:path
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) < 3:
		case parts[0] == "0" && parts[1] == "":
			for _, mount := range []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"} {
				upwards(parts[2], func(group string) {
					// Above memory.high the kernel refuses nothing, but slows the process down badly.
					take(readLimit(root, path.Join(mount, group, "memory.max")))
					take(readLimit(root, path.Join(mount, group, "memory.high")))
				})
			}
		case strings.Contains(","+parts[1]+",", ",memory,"):
			upwards(parts[2], func(group string) {
				take(readLimit(root, path.Join("sys/fs/cgroup/memory", group, "memory.limit_in_bytes")))
			})
		}
	}
	return lowest
}

// upwards visits a group and all groups above it. In a container the path may be the one on the host; then only the root,
// which it visits last, exists.
func upwards(group string, visit func(string)) {
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		visit(group)
		if group == "/" {
			return
		}
	}
}

// unlimited is the lowest limit of version 1 that means no limit. The kernel writes the largest number of whole pages.
const unlimited = 1 << 62

func readLimit(root fs.FS, name string) uint64 {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 64) // or "max"
	if err != nil || n >= unlimited {
		return 0
	}
	return n
}

// recordBuffers is the memory for packets that wait for the recorder's disk, in bytes: a buffer for each socket, and one for
// all connections. Packets in rings wait there.
func (c *Config) recordBuffers() uint64 {
	if c.Record == "" {
		return 0
	}
	return uint64(len(c.Listen)+min(len(c.Clusters), 1)) * record.DefaultBuffer
}
