package control

// Modes of Status.Mode and InterfaceStatus.Mode, from fastest to slowest.
const (
	ModeNative  = "xdp-native"  // the XDP program runs in the driver
	ModeGeneric = "xdp-generic" // it runs in the kernel's network stack
	ModeSocket  = "socket"      // no XDP program: packets come through ordinary sockets
)
