package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"
)

// leastMemory is what --max-memory must be at least.
const leastMemory = 4 << 20

// tableShare is the part of the memory, in percent, that the table may take where --max-memory doesn't say. The rest is for
// socket buffers (64 MiB for each listen address), the Go runtime, and whoever else lives there: leastRest at least, or a small control
// group would be filled up by what the process takes beside the table, which under load is 30 MiB and more.
const (
	tableShare = 80
	leastRest  = 64 << 20
)

func limitFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{
			Name: "max-dialogs", Category: categoryTable, DefaultText: "no limit",
			Usage: "refuse new dialogs beyond `N`, and remember at most as many ended ones; known dialogs are kept up to date and ended as ever",
		},
		&cli.StringFlag{
			Name: "max-memory", Category: categoryTable,
			DefaultText: "80 % of what control group or host have beside rings, --replicate-queue and --record, leaving 64MiB at least",
			Usage:       "give the table at most `SIZE`, such as 8GiB; when it is used up new dialogs are refused, as with --max-dialogs",
		},
	}
}

func parseLimits(c *cli.Context) (dialogs int, memory uint64, err error) {
	dialogs = c.Int("max-dialogs")
	if c.IsSet("max-dialogs") && dialogs < 1 {
		return 0, 0, fmt.Errorf("--max-dialogs %d: at least 1; leave it out for no limit", dialogs)
	}
	if text := c.String("max-memory"); text != "" {
		if memory, err = humanize.ParseBytes(text); err != nil || memory > math.MaxInt64 {
			return 0, 0, fmt.Errorf("--max-memory %s: not a size; write 8GiB, 500MiB or a number of bytes", text)
		}
		if memory < leastMemory {
			return 0, 0, fmt.Errorf("--max-memory %s: at least %s", text, humanize.IBytes(leastMemory))
		}
	}
	return dialogs, memory, nil
}

// available is how much memory the process may use at most, and whose limit that is.
func (h *host) available() (bytes uint64, whose string) {
	if h.MemoryLimit > 0 && h.MemoryLimit < h.Memory {
		return h.MemoryLimit, "the control group's"
	}
	return h.Memory, "this host's"
}

// settleMemory checks MaxMemory, or chooses it so that the kernel never has to kill the process for what the table holds.
func (o *options) settleMemory(h host) error {
	all, whose := h.available()
	if o.MaxMemory > all {
		return fmt.Errorf("--max-memory %s: more than %s %s", humanize.IBytes(o.MaxMemory), whose, humanize.IBytes(all))
	}
	if o.MaxMemory > 0 {
		return nil
	}
	taken := uint64(o.ReplicateQueue) + o.recordBuffers()
	if o.XDP != xdpOff {
		taken += uint64(o.Rings) * uint64(o.RingSize)
	}
	if taken+leastRest < all {
		left := all - taken
		o.MaxMemory = min(left/100*tableShare, left-leastRest)
	}
	if o.MaxMemory < leastMemory {
		takers := "rings and --replicate-queue"
		if n := o.recordBuffers(); n > 0 {
			takers = fmt.Sprintf("rings, --replicate-queue and --record (%s of buffers, for fewer addresses less)", humanize.IBytes(n))
		}
		return fmt.Errorf("of %s %s, %s take %s, and the process itself %s: nothing is left for dialogs; choose smaller ones",
			whose, humanize.IBytes(all), takers, humanize.IBytes(taken), humanize.IBytes(leastRest))
	}
	return nil
}

// groupLimit returns the memory limit of the control group that the process is in, of version 2 or 1, or of one
// above it if that is lower; 0 for none. root is the root of the file system. Formats: cgroups(7), and cgroup-v2 and
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
					// What is above memory.high isn't refused, but slowed down until it hurts.
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

// upwards visits a group and all above it. In a container the path may be that of the host, and only the last visited, the
// root of what is mounted, is there.
func upwards(group string, visit func(string)) {
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		visit(group)
		if group == "/" {
			return
		}
	}
}

// unlimited is from where on a limit of version 1 is none: it says so by the largest number of whole pages.
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
