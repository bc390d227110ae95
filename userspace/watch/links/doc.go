// Package links watches the network interfaces: whether each has a link, and what it lost in front of XDP and the sockets.
//
//	rtnetlink, ethtool, /proc/net/softnet_stat --Read--> Reading --Watcher.Sample, each second--> State
//
// A frame can be lost in four places before a program sees it. The card has no room (rx_missed_errors, rx_fifo_errors,
// rx_over_errors). A queue of the driver has none (counters of the driver, as ethtool -S prints them). The kernel's backlog
// of a CPU is full (the second column of softnet_stat; the interface counts it as rx_dropped). Or the kernel drops the frame
// for another reason (rx_dropped).
//
// rx_dropped alone is ambiguous. The kernel also counts frames there whose protocol nothing handles, such as LLDP and
// spanning tree, at a few a second. And virtio_net counts frames there that XDP took. Watcher.Sample tells these apart.
//
// The kernel documents the counters in Documentation/networking/statistics.rst and include/uapi/linux/if_link.h.
package links
