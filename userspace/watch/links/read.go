package links

import (
	"io/fs"
	"strconv"
	"strings"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Read asks the kernel about the interface with this name, in the network namespace of the calling thread. It may wait
// for the kernel's lock of interfaces, so it must not be called while something else waits for the caller.
func Read(name string) (r Reading) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return r
	}
	a := link.Attrs()
	r.Index = a.Index
	switch {
	case a.RawFlags&unix.IFF_UP == 0:
		r.Link = Down
	case a.RawFlags&unix.IFF_RUNNING == 0:
		r.Link = NoCarrier
	default:
		r.Link = Up
	}
	if s := a.Statistics; s != nil {
		r.Dropped, r.Missed = s.RxDropped, s.RxMissedErrors+s.RxFifoErrors+s.RxOverErrors
	}
	e, err := ethtool.NewEthtool()
	if err != nil {
		return r
	}
	defer e.Close()
	driver, _ := e.DriverName(a.Name)
	counters, _ := e.Stats(a.Name) // many virtual drivers have none
	r.driver(driver, counters)
	return r
}

// driver picks out of the driver's own counters what tells about losses.
func (r *Reading) driver(name string, counters map[string]uint64) {
	r.Queues = map[string]uint64{}
	for counter, n := range counters {
		switch {
		case name == "virtio_net" && strings.HasSuffix(counter, "xdp_drops"):
			r.TakenAsDropped += n // its rx_dropped contains them
		case meansNoRoom(counter):
			r.Queues[counter] = n
		}
	}
}

// noRoom are parts of the names by which drivers call losses for lack of room. The names are in the kernel's
// drivers/net/ethernet: mlx5 (rx_out_of_buffer, rx_discards_phy), ixgbe (rx_no_dma_resources, rx_missed_errors), igb and
// e1000 (rx_no_buffer_count), bnxt (rx_discard_pkts), i40e and ice (rx_discards), ena (rx_overruns), tg3 (rx_fifo...).
var noRoom = [...]string{"out_of_buffer", "no_buf", "no_dma", "missed", "fifo", "overrun", "discard"}

// meansNoRoom reports whether a driver's counter of this name means that frames were lost for lack of room.
func meansNoRoom(counter string) bool {
	lower := strings.ToLower(counter)
	if !strings.Contains(lower, "rx") || strings.Contains(lower, "xdp") {
		return false
	}
	for _, part := range noRoom {
		if strings.Contains(lower, part) {
			return true
		}
	}
	return false
}

// Backlog reads how many frames the kernel's backlogs have dropped: the second column of proc/net/softnet_stat below root,
// in hexadecimal, one line for each CPU. It returns 0 if there is no such file.
func Backlog(root fs.FS) (n uint64) {
	text, err := fs.ReadFile(root, "proc/net/softnet_stat")
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 1 {
			dropped, _ := strconv.ParseUint(f[1], 16, 64)
			n += dropped
		}
	}
	return n
}
