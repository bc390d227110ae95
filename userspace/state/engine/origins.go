package engine

import (
	"sync"
	"sync/atomic"

	"binrepd/userspace/in/packets"
)

// MaxOrigins bounds the register of sources, because source addresses can be forged. Sources for which there is no room are served like
// any other, but share the number 0, "other". The register makes room by forgetting the sources that have been silent longest (room.go).
const MaxOrigins = 1024

// OtherOrigin stands for every source that found no place in the register.
const OtherOrigin = 0

// origins is the register of sources. It numbers the senders that sent at least one good packet. A number of a source that was forgotten
// is given to another one only when no dialog, no worker and no cache has it any more.
type origins struct {
	mu    sync.RWMutex // guards known and free, and is held to change list
	known map[packets.Sender]uint16
	free  []uint16 // numbers that can be used again

	// list is by number; list[0], and that of a free number, is the zero Sender. What it points to never changes: another list takes its
	// place.
	list atomic.Pointer[[]packets.Sender]

	// generation grows whenever the numbers in the workers' caches may be wrong.
	generation atomic.Uint64
	// given is when each number was given or asked for by a file, in ns since the epoch.
	given [MaxOrigins]atomic.Int64
	// looking guards what is below. Status takes it, so no worker does. Where both locks are held, mu comes first.
	looking sync.Mutex
	struck  [MaxOrigins]bool // numbers that are in list, but not in known
	// hidden is what each number had sent when somebody had it forgotten (Engine.Forget). on: it has sent nothing since.
	hidden [MaxOrigins]struct {
		on bool
		senderSum
	}
	gone senderSum // of sources that are in the register no more

	scarce chan struct{} // has a value when room should be made
}

func newOrigins() *origins {
	o := &origins{known: map[packets.Sender]uint16{}, scarce: make(chan struct{}, 1)}
	list := make([]packets.Sender, 1, 64)
	o.list.Store(&list)
	return o
}

// number returns the number of a sender. It gives it one if there is room. now is in ns since the epoch. With keep the number stays the
// sender's for silentFor from now.
func (o *origins) number(from packets.Sender, now int64, keep bool) uint16 {
	o.mu.RLock()
	n, ok := o.known[from]
	if ok && keep {
		o.given[n].Store(now)
	}
	o.mu.RUnlock()
	if ok {
		return n
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if n, ok := o.known[from]; ok {
		return n
	}
	list := o.senders()
	n = uint16(len(list))
	if left := len(o.free); left > 0 {
		n, o.free = o.free[left-1], o.free[:left-1]
		list = append([]packets.Sender(nil), list...)
		list[n] = from
	} else if len(list) < MaxOrigins {
		list = append(list, from)
	} else {
		o.callForRoom()
		return OtherOrigin
	}
	o.given[n].Store(now)
	o.list.Store(&list)
	o.known[from] = n
	if o.roomLocked() < lowRoom {
		o.callForRoom()
	}
	return n
}

// roomLocked returns how many sources can be added.
func (o *origins) roomLocked() int { return MaxOrigins - len(o.senders()) + len(o.free) }

// hasRoom reports whether a source can be added.
func (o *origins) hasRoom() bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.roomLocked() > 0
}

func (o *origins) callForRoom() {
	select {
	case o.scarce <- struct{}{}:
	default:
	}
}

// find returns the number of a sender if it has one.
func (o *origins) find(from packets.Sender) (uint16, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	n, ok := o.known[from]
	return n, ok
}

// senders returns all by number. The list is shared: it must not be changed.
func (o *origins) senders() []packets.Sender { return *o.list.Load() }
