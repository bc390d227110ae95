package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func linkName(index int) string { return fmt.Sprintf("%s%d", pinLink, index) }

// attach puts the program on the interface. It replaces the program of an earlier process, or makes a new attachment.
func (p *Pin) attach(program *ebpf.Program, index int, mode Mode) (*Attachment, error) {
	path := filepath.Join(p.dir, linkName(index))
	a, err := adopt(path, program, index, mode)
	if a != nil || err != nil {
		return a, err
	}
	if a, err = attach(program, index, mode); err != nil {
		return nil, err
	}
	if err := a.link.Pin(path); err != nil {
		return nil, errors.Join(permission("pin "+path, err), a.Close())
	}
	a.pinned = path
	return a, nil
}

// adopt takes over the pinned attachment if it is on that interface in an acceptable mode. Otherwise it removes it and
// returns nil: the interface may have been deleted and its index given to another one.
func adopt(path string, program *ebpf.Program, index int, mode Mode) (*Attachment, error) {
	l, err := link.LoadPinnedLink(path, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, permission("open "+path, err)
	}
	if now := attachedBy(l, index); now != Auto && (mode == Auto || mode == now) {
		if err := l.Update(program); err == nil {
			a := &Attachment{Index: index, Mode: now, link: l, pinned: path, Adopted: true}
			if now != mode && now == Generic {
				a.Fallback = &UnsupportedError{What: fmt.Sprintf("native XDP when it was attached to interface %d", index)}
			}
			return a, nil
		}
	}
	// Removing the pin would end the attachment only a while later, and nothing else can be attached until then.
	err = l.Detach()
	if errors.Is(err, unix.ENOLINK) { // its interface is gone
		err = nil
	}
	return nil, errors.Join(err, os.Remove(path), l.Close())
}

// attachedBy returns the mode in which l has its program on the interface with this index, in the network namespace of
// the calling thread. It returns Auto if the program is not there.
func attachedBy(l link.Link, index int) Mode {
	info, err := l.Info()
	if err != nil {
		return Auto
	}
	dev, err := netlink.LinkByIndex(index)
	if err != nil || dev.Attrs().Xdp == nil || info.XDP() == nil || int(info.XDP().Ifindex) != index ||
		dev.Attrs().Xdp.ProgId != uint32(info.Program) {
		return Auto
	}
	if dev.Attrs().Xdp.AttachMode == attachedNative {
		return Native
	}
	return Generic
}

// keep removes the attachments to all other interfaces. An earlier process made them, or their interfaces no longer
// exist.
func (p *Pin) keep(indexes []int) ([]string, error) {
	links, _, err := p.names()
	if err != nil {
		return nil, err
	}
	links = slices.DeleteFunc(links, func(name string) bool {
		return slices.ContainsFunc(indexes, func(i int) bool { return name == linkName(i) })
	})
	return links, p.detach(links)
}
