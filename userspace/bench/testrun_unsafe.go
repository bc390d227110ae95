package bench

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// runAttr is the part of union bpf_attr that BPF_PROG_TEST_RUN takes (linux/bpf.h). The wrapper in cilium/ebpf
// allocates and takes as long as the program itself; rings are filled a frame a call.
type runAttr struct {
	program, answer               uint32
	sizeIn, sizeOut               uint32
	in, out                       uint64
	repeat, duration              uint32
	contextSizeIn, contextSizeOut uint32
	contextIn, contextOut         uint64
	flags, cpu, batch             uint32
	_                             uint32
}

const bpfProgTestRun = 10 // enum bpf_cmd

// XDP's answers, enum xdp_action.
const (
	xdpDrop = 1
	xdpPass = 2
	xdpTx   = 3
)

// testRun runs the program with that descriptor for a frame, repeat times, and returns its last answer and the mean
// time of a run.
func testRun(program int, frame []byte, repeat int) (answer uint32, each time.Duration, err error) {
	attr := runAttr{program: uint32(program), sizeIn: uint32(len(frame)), repeat: uint32(repeat)}
	err = bpfCall(&attr, frame)
	return attr.answer, time.Duration(attr.duration), err
}

// bpfCall makes the system call. A signal would end the runs early, and Go's runtime sends them for its own ends; so
// they wait.
func bpfCall(attr *runAttr, frame []byte) error {
	attr.in = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(frame))))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, &before); err != nil {
		return fmt.Errorf("signal mask: %w", err)
	}
	_, _, errno := unix.Syscall(unix.SYS_BPF, bpfProgTestRun, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
	runtime.KeepAlive(frame)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil {
		return fmt.Errorf("signal mask: %w", err)
	}
	if errno != 0 {
		return fmt.Errorf("test run of a program: %w", errno)
	}
	return nil
}

// xdpMD is struct xdp_md.
type xdpMD struct {
	data, dataEnd, meta    uint32
	ingress, queue, egress uint32
}

// testRunLive runs the program for live frames, which begin as data, in batches of that size.
func testRunLive(program int, data []byte, context *xdpMD, repeat, flags, batch int) error {
	attr := runAttr{
		program: uint32(program), sizeIn: uint32(len(data)), repeat: uint32(repeat), flags: uint32(flags), batch: uint32(batch),
		contextSizeIn: uint32(unsafe.Sizeof(*context)), contextIn: uint64(uintptr(unsafe.Pointer(context))),
	}
	err := bpfCall(&attr, data)
	runtime.KeepAlive(context)
	return err
}

// enableGRO switches generic receive offload on for an interface in the namespace of the calling thread. A veth
// interface without an XDP program receives live frames only then.
func enableGRO(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("ethtool: %w", err)
	}
	defer unix.Close(fd)
	value := struct{ command, data uint32 }{unix.ETHTOOL_SGRO, 1}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of the union in struct ifreq
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("ethtool: generic receive offload on %s: %w", name, errno)
	}
	return nil
}
