package bpf

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// FollowConfig says which interfaces to follow, and how.
type FollowConfig struct {
	// Interfaces by name or alternative name. They need not exist yet. Without any, the follower chooses those where frames
	// to the listen addresses come in, and follows the addresses as they move: where XDP sees the frames to a VLAN or
	// macvlan that has the address, that is the interface below it. For a wildcard it is every Ethernet interface that is
	// up and has an address, but not lo.
	Interfaces []string
	// Mode is the mode to attach in.
	Mode Mode
	// Promiscuous takes frames whatever their destination MAC address and VLAN, as on the port of a switch that mirrors the
	// traffic of another host.
	Promiscuous bool
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
	// Carrier is true if the interface has a link.
	Carrier bool
	// Mode is the mode in force, Native or Generic. It is Auto while the program is not attached.
	Mode Mode
	// Err is why the program is not attached. If it is attached, Err is why native mode was tried and did not work.
	// Otherwise it is nil.
	Err error
}

// Attached reports whether the program is attached.
func (s InterfaceState) Attached() bool { return s.Mode != Auto }

// Follower keeps a program attached to interfaces as they come and go, and keeps the program's knowledge of the host up to
// date: the addresses for wildcard listeners, MAC addresses and VLANs. Netlink reports changes, so nothing is polled. After
// any change the follower compares the actual state with the wanted state and corrects the differences. What fails for a
// reason that may pass, such as too many open files, changes nothing and is tried again, first after 100 ms and at last every
// 30 s.
type Follower struct {
	program *Program
	config  FollowConfig
	log     *slog.Logger
	events  *events
	done    chan struct{}

	// Only the goroutine uses these.
	followed []*followed
	choices  [][]int // by listener: the interfaces that were chosen last; nil if Config.Interfaces names them
	failures int     // attempts in a row that failed to read the state of the host

	mu      sync.Mutex
	states  []InterfaceState
	entries [][]string // see Entrances
	trouble error
	left    bool // events is closed
	failed  error
}

// followed is an interface, and the program on it.
type followed struct {
	name       string // as in Config.Interfaces; empty if the follower chose the interface
	index      int    // of an interface that the follower chose
	attachment *Attachment
	refusal    refusal
	state      InterfaceState
}

// Times between two attempts at what failed.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// retryAfter returns how long to wait after so many failures in a row.
func retryAfter(failures int) time.Duration {
	return min(firstRetry<<min(failures-1, 16), lastRetry)
}

// refusal is why an attempt to attach failed, and the state of the interface at that time. While that state stays the
// same, no announcement causes a second attempt: some drivers announce a change with every attempt. Only time does, unless
// the mode is not supported.
type refusal struct {
	err      error
	at       situation
	failures int       // in a row
	again    time.Time // of the next attempt; zero: none
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
	f := &Follower{program: p, config: cfg, log: cfg.Logger, done: make(chan struct{})}
	if f.log == nil {
		f.log = slog.Default()
	}
	for _, name := range cfg.Interfaces {
		f.followed = append(f.followed, &followed{name: name, state: InterfaceState{Name: name}})
	}
	if len(cfg.Interfaces) == 0 {
		f.choices = make([][]int, len(p.config.Listeners))
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

// States returns the state of each interface, in the order of FollowConfig.Interfaces, or of the listen addresses.
func (f *Follower) States() []InterfaceState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]InterfaceState(nil), f.states...)
}

// Trouble returns why the state of the host can't be read at present, or nil. Attachments stay, and the follower tries again.
func (f *Follower) Trouble() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trouble
}

// Entrances returns, for each listen address, the names of the interfaces where XDP would see the frames to it. They are the
// ones to follow. It is empty for an address that no interface has, or that none with Ethernet has.
func (f *Follower) Entrances() [][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([][]string(nil), f.entries...)
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
	again := f.look()
	if f.Trouble() == nil {
		f.keep()
	}
	ready <- nil
	for failures := 0; ; {
		goOn, err := f.events.wait(again)
		if !goOn {
			break
		}
		if err != nil {
			// Changes would go unnoticed now, so the state is read after each attempt to subscribe again.
			failures++
			f.log.Warn("following interfaces is disturbed", "error", err, "next_attempt", retryAfter(failures))
			if !f.events.pause(retryAfter(failures)) {
				break
			}
			err = f.events.renew()
		}
		if err == nil {
			failures = 0
		}
		again = f.look()
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

// keep removes attachments of an earlier process to interfaces that this process doesn't follow.
func (f *Follower) keep() {
	pin := f.program.config.Pin
	if pin == nil {
		return
	}
	var indexes []int
	for _, one := range f.followed {
		if one.attachment != nil {
			indexes = append(indexes, one.attachment.Index)
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

func (f *Follower) drop(one *followed) {
	if a := one.attachment; a != nil {
		one.attachment = nil
		if err := a.Close(); err != nil {
			f.log.Warn("detaching failed", "interface", one.state.Name, "error", err)
		}
	}
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
	if before.Index == now.Index && before.Index != 0 && (before.Up != now.Up || before.Carrier != now.Carrier) {
		log.Info("interface changed", "up", now.Up, "carrier", now.Carrier)
	}
}

// leave detaches the program from all interfaces. Pinned attachments stay.
func (f *Follower) leave() {
	var errs []error
	for _, one := range f.followed {
		if a := one.attachment; a != nil {
			one.attachment = nil
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
