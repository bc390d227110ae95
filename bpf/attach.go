package bpf

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Mode is how a program is attached.
type Mode uint8

const (
	// Auto means Native where that works, and Generic elsewhere.
	Auto Mode = iota
	// Native runs the program in the driver, before the kernel allocates a packet for the frame.
	Native
	// Generic runs the program in the network stack. Every interface supports it, but the kernel has then already
	// allocated a packet, which is thrown away.
	Generic
)

var modeNames = [...]string{Auto: "auto", Native: "native", Generic: "generic"}

// String returns "auto", "native" or "generic".
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "invalid"
}

// MarshalText returns the name of the mode, for JSON and other encodings.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is ParseMode.
func (m *Mode) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMode(string(text))
	return err
}

// ParseMode is the inverse of String.
func ParseMode(name string) (Mode, error) {
	for m, n := range modeNames {
		if n == name {
			return Mode(m), nil
		}
	}
	return 0, fmt.Errorf("XDP mode %q: must be one of %s", name, strings.Join(modeNames[:], ", "))
}

// Attachment is the program on one interface. It ends when it is closed, the interface is deleted, or the process ends.
type Attachment struct {
	// Index of the interface.
	Index int
	// Mode in force: Native or Generic.
	Mode Mode
	// Fallback is why Auto did not choose Native, or nil.
	Fallback error
	// Adopted is true if an earlier process made the attachment and this program took it over.
	Adopted bool

	link   link.Link
	pinned string // path of its pin, or empty
}

// Close detaches the program.
func (a *Attachment) Close() error {
	if a.pinned != "" {
		// The kernel keeps the link as long as the pin exists, so remove both.
		return errors.Join(os.Remove(a.pinned), a.link.Close())
	}
	return a.link.Close()
}

// leave ends the attachment unless it is pinned. A pinned one stays.
func (a *Attachment) leave() error { return a.link.Close() }

// Attach attaches the program to the interface with this index, in the network namespace of the calling thread. The
// error may be a ForeignProgramError, a PermissionError or an UnsupportedError.
func (p *Program) Attach(index int, mode Mode) (*Attachment, error) {
	if err := p.Commit(); err != nil {
		return nil, err
	}
	if p.config.Pin != nil {
		return p.config.Pin.attach(p.objects.Binrepd, index, mode)
	}
	return attach(p.objects.Binrepd, index, mode)
}

func attach(program *ebpf.Program, index int, mode Mode) (*Attachment, error) {
	dev, err := netlink.LinkByIndex(index)
	if err != nil {
		return nil, fmt.Errorf("interface %d: %w", index, err)
	}
	if err := foreign(dev); err != nil {
		return nil, err
	}
	switch mode {
	case Native, Generic:
		l, err := attachAs(program, dev, mode)
		if err != nil {
			return nil, err
		}
		return &Attachment{Index: index, Mode: mode, link: l}, nil
	case Auto:
		l, err := attachAs(program, dev, Native)
		if err == nil {
			return &Attachment{Index: index, Mode: Native, link: l}, nil
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return nil, err
		}
		l, second := attachAs(program, dev, Generic)
		if second != nil {
			return nil, errors.Join(err, second)
		}
		return &Attachment{Index: index, Mode: Generic, Fallback: err, link: l}, nil
	}
	return nil, fmt.Errorf("XDP mode %d is unknown", mode)
}

func attachAs(program *ebpf.Program, dev netlink.Link, mode Mode) (link.Link, error) {
	name, flags := dev.Attrs().Name, link.XDPDriverMode
	if mode == Generic {
		flags = link.XDPGenericMode
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: dev.Attrs().Index, Flags: flags})
	what := fmt.Sprintf("%s XDP on %s", mode, name)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return nil, permission("attach "+what, err)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		// Another process was faster, or a program is attached in the other mode.
		if again, e := netlink.LinkByIndex(dev.Attrs().Index); e == nil {
			if e := foreign(again); e != nil {
				return nil, e
			}
		}
	case errors.Is(err, unix.ENODEV):
	default:
		// Drivers refuse in many ways: EOPNOTSUPP, EINVAL (the MTU, the number of queues), ENOMEM, ENOSPC.
		return nil, &UnsupportedError{What: what, Err: err}
	}
	return nil, fmt.Errorf("attach %s: %w", what, err)
}

// Modes of attachment as netlink reports them (enum in linux/if_link.h).
const (
	attachedNone   = 0
	attachedNative = 1
)

// foreign returns a ForeignProgramError if there is an XDP program on dev.
func foreign(dev netlink.Link) error {
	program := attached(dev)
	if program == nil {
		return nil
	}
	return &ForeignProgramError{Interface: dev.Attrs().Name, ForeignProgram: *program}
}

// attached returns the XDP program on dev, or nil.
func attached(dev netlink.Link) *ForeignProgram {
	xdp := dev.Attrs().Xdp
	if xdp == nil || !xdp.Attached || xdp.AttachMode == attachedNone {
		return nil
	}
	program := ForeignProgram{ID: xdp.ProgId, Mode: Generic}
	if xdp.AttachMode == attachedNative {
		program.Mode = Native
	}
	if p, err := ebpf.NewProgramFromID(ebpf.ProgramID(xdp.ProgId)); err == nil {
		if info, err := p.Info(); err == nil {
			program.Name = info.Name
		}
		_ = p.Close()
	}
	return &program
}
