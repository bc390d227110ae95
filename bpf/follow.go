package bpf

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// FollowConfig says which interfaces to follow, and how.
type FollowConfig struct {
	// Interfaces by name. They need not exist yet.
	Interfaces []string
	// Mode is the mode to attach in.
	Mode Mode
	// Logger gets a line for each change; nil means slog.Default().
	Logger *slog.Logger
}

// InterfaceState is the state of the program on one interface.
type InterfaceState struct {
	Name string
	// Index is 0 while the interface does not exist.
	Index int
	// Up is true if the interface is administratively up. The program stays attached while it is down.
	Up bool
	// Mode is the mode in force, Native or Generic. It is Auto while the program is not attached.
	Mode Mode
	// Err is why the program is not attached. If it is attached, Err is why native mode was tried and did not work.
	// Otherwise it is nil.
	Err error
}

// Attached reports whether the program is attached.
func (s InterfaceState) Attached() bool { return s.Mode != Auto }

// Follower keeps a program attached to interfaces as they come and go, and keeps its wildcard listeners expanded to the
// addresses of the host. Netlink reports changes, so nothing is polled. After any change the follower compares the
// actual state with the wanted state and corrects the differences.
type Follower struct {
	program *Program
	config  FollowConfig
	log     *slog.Logger
	events  *events
	done    chan struct{}

	// Only the goroutine uses attachments and refusals. An attachment is nil where the program is not attached.
	attachments []*Attachment
	refusals    []refusal

	mu     sync.Mutex
	states []InterfaceState
	left   bool // events is closed
	failed error
}

// refusal is why an attempt to attach failed, and the state of the interface at that time. While that state stays the
// same there is no second attempt: some drivers announce a change with every attempt, and each announcement would cause
// the next attempt.
type refusal struct {
	err error
	at  situation
}

// situation holds those properties of an interface that can change the result of an attempt.
type situation struct {
	index, mtu, queuesIn, queuesOut int
	up                              bool
	program                         uint32
}

func situationOf(dev netlink.Link) situation {
	a := dev.Attrs()
	s := situation{index: a.Index, mtu: a.MTU, queuesIn: a.NumRxQueues, queuesOut: a.NumTxQueues, up: isUp(dev)}
	if a.Xdp != nil {
		s.program = a.Xdp.ProgId
	}
	return s
}

func isUp(dev netlink.Link) bool { return dev.Attrs().RawFlags&unix.IFF_UP != 0 }

// Follow attaches p to the interfaces and keeps it there until Close. It works in the network namespace of the calling
// thread. It calls Program.Commit first. If it can't attach to an interface, that is not an error here; States reports it.
func Follow(p *Program, cfg FollowConfig) (*Follower, error) {
	if err := p.Commit(); err != nil {
		return nil, err
	}
	f := &Follower{
		program: p, config: cfg, log: cfg.Logger,
		done:        make(chan struct{}),
		attachments: make([]*Attachment, len(cfg.Interfaces)),
		refusals:    make([]refusal, len(cfg.Interfaces)),
		states:      make([]InterfaceState, len(cfg.Interfaces)),
	}
	if f.log == nil {
		f.log = slog.Default()
	}
	for i, name := range cfg.Interfaces {
		f.states[i] = InterfaceState{Name: name}
	}
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	ready := make(chan error)
	go f.run(home, ready)
	if err := <-ready; err != nil {
		<-f.done
		return nil, err
	}
	return f, nil
}

// States returns the state of each interface, in the order of FollowConfig.Interfaces.
func (f *Follower) States() []InterfaceState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]InterfaceState(nil), f.states...)
}

// Close detaches the program from all interfaces, except where it is pinned, and ends the follower. It is idempotent.
// It returns the errors of detaching, or the error that ended the follower early.
func (f *Follower) Close() error {
	if err := f.stop(); err != nil {
		return fmt.Errorf("stop following: %w", err)
	}
	<-f.done
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func (f *Follower) stop() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left {
		return nil
	}
	return f.events.stop()
}

// run is the follower's goroutine. It sends on ready when the first check of all interfaces is done.
func (f *Follower) run(home int, ready chan<- error) {
	defer close(f.done)
	// BPF links and netlink sockets belong to the namespace of the thread that makes them. If this thread has to change
	// its namespace, it is not given back to the runtime: it ends with the goroutine.
	runtime.LockOSThread()
	moved, err := enter(home)
	if !moved && err == nil {
		runtime.UnlockOSThread()
	}
	if err == nil {
		f.events, err = newEvents()
	}
	if err != nil {
		ready <- err
		return
	}
	f.look()
	f.keep()
	ready <- nil
	for {
		changed, err := f.events.wait()
		if err != nil {
			f.log.Error("following interfaces ended", "error", err)
			f.mu.Lock()
			f.failed = err
			f.mu.Unlock()
		}
		if !changed {
			break
		}
		f.look()
	}
	f.leave()
}

// enter moves the calling thread to the network namespace home and closes home. It reports whether it had to move.
func enter(home int) (moved bool, err error) {
	defer unix.Close(home)
	var here, there unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &here); err != nil {
		return false, fmt.Errorf("network namespace: %w", err)
	}
	if err := unix.Fstat(home, &there); err != nil {
		return false, fmt.Errorf("network namespace: %w", err)
	}
	if here.Dev == there.Dev && here.Ino == there.Ino {
		return false, nil
	}
	if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
		return false, fmt.Errorf("enter network namespace: %w", err)
	}
	return true, nil
}

// look compares the actual state with the wanted state and corrects the differences.
func (f *Follower) look() {
	f.lookAddresses()
	for i, name := range f.config.Interfaces {
		state := f.lookInterface(i, name)
		f.mu.Lock()
		before := f.states[i]
		f.states[i] = state
		f.mu.Unlock()
		f.tell(before, state)
	}
}

// lookInterface brings one interface to the wanted state and returns its state.
func (f *Follower) lookInterface(i int, name string) InterfaceState {
	state := InterfaceState{Name: name}
	dev, err := netlink.LinkByName(name)
	if err != nil {
		f.drop(i)
		state.Err = fmt.Errorf("interface %s: %w", name, err)
		return state
	}
	state.Index, state.Up = dev.Attrs().Index, isUp(dev)
	if a := f.attachments[i]; a != nil && (a.Index != state.Index || !f.ours(dev)) {
		f.drop(i) // the interface no longer exists, or another program replaced ours
	}
	if f.attachments[i] == nil {
		if r := f.refusals[i]; r.err != nil && r.at == situationOf(dev) {
			state.Err = r.err
			return state
		}
		a, err := f.program.Attach(state.Index, f.config.Mode)
		if err != nil {
			f.refusals[i] = refusal{err: err, at: situationOf(dev)}
			state.Err = err
			return state
		}
		f.attachments[i] = a
	}
	state.Mode, state.Err = f.attachments[i].Mode, f.attachments[i].Fallback
	return state
}

// keep removes attachments of an earlier process to interfaces that this process doesn't follow.
func (f *Follower) keep() {
	pin := f.program.config.Pin
	if pin == nil {
		return
	}
	var indexes []int
	for _, a := range f.attachments {
		if a != nil {
			indexes = append(indexes, a.Index)
		}
	}
	removed, err := pin.keep(indexes)
	if len(removed) > 0 {
		f.log.Info("removed attachments that were left behind", "pins", removed)
	}
	if err != nil {
		f.log.Warn("removing old attachments failed", "error", err)
	}
}

// ours reports whether the program on dev is the one of this process.
func (f *Follower) ours(dev netlink.Link) bool {
	xdp := dev.Attrs().Xdp
	return xdp != nil && xdp.ProgId == f.program.ID()
}

func (f *Follower) drop(i int) {
	if a := f.attachments[i]; a != nil {
		f.attachments[i] = nil
		if err := a.Close(); err != nil {
			f.log.Warn("detaching failed", "interface", f.config.Interfaces[i], "error", err)
		}
	}
}

// lookAddresses expands the wildcard listeners again.
func (f *Follower) lookAddresses() {
	book := &f.program.addresses
	if !book.wildcards() {
		return
	}
	host, err := hostAddresses()
	if err != nil {
		// A change interrupted the dump. Its message is still to come and causes another try.
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			f.log.Warn("reading the host's addresses failed", "error", err)
		}
		return
	}
	left, err := book.set(host)
	if err != nil {
		f.log.Warn("setting listen addresses failed", "error", err)
	}
	if left > 0 {
		f.log.Warn("too many addresses for XDP, sockets receive the rest", "left", left, "limit", MaxAddresses)
	}
}

// hostAddresses returns the usable addresses of all interfaces.
func hostAddresses() ([]netip.Addr, error) {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var addrs []netip.Addr
	for _, a := range list {
		if a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 && a.Flags&unix.IFA_F_OPTIMISTIC == 0 {
			continue // the address may belong to another host
		}
		if addr, ok := netip.AddrFromSlice(a.IP); ok {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs, nil
}

// tell logs the changes between two states.
func (f *Follower) tell(before, now InterfaceState) {
	log := f.log.With("interface", now.Name)
	reason := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	switch {
	case now.Attached() && (!before.Attached() || before.Index != now.Index || before.Mode != now.Mode):
		log.Info("XDP attached", "mode", now.Mode.String(), "index", now.Index)
		if now.Err != nil {
			log.Warn("XDP not in native mode", "reason", now.Err)
		}
	case !now.Attached() && reason(before.Err) != reason(now.Err):
		log.Warn("XDP not attached, sockets take over", "reason", now.Err)
	}
	if before.Index == now.Index && before.Up != now.Up {
		log.Info("interface changed", "up", now.Up)
	}
}

// leave detaches the program from all interfaces. Pinned attachments stay.
func (f *Follower) leave() {
	var errs []error
	for i, a := range f.attachments {
		if a != nil {
			f.attachments[i] = nil
			errs = append(errs, a.leave())
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	errs = append(errs, f.events.close())
	f.left = true
	for i := range f.states {
		f.states[i].Mode = Auto
	}
	f.failed = errors.Join(append(errs, f.failed)...)
}
