package donor_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/cluster/donor"
)

// holdings are dialogs by number.
type holdings map[int]bool

func (h holdings) add(o holdings) {
	for x := range o {
		h[x] = true
	}
}

// proxy is the truth about a node in the property test.
type proxy struct {
	holds holdings
	fresh holdings // accepted since its restart, before it was synced: it ends these if its donor hasn't them
	link  bool     // it reaches us
	known bool     // it is in the cluster: it was up once, and wasn't removed
	dead  bool
}

// cluster is the truth about a cluster, and this node's part in it.
type cluster struct {
	rng     *rand.Rand
	p       *donor.Promise
	now     time.Time
	nodes   []proxy
	ours    holdings
	serial  int
	ended   holdings    // by a node that was synced here
	begun   map[int]int // dialogs that a node accepted before it was synced, and that node
	running int         // the node of the sync that runs; -1: none does
	cut     bool        // a part of that sync was lost
	trace   []string
}

// tell lets a node accept a call. Other nodes may miss it, and so do we if the link is down or drop is set.
func (c *cluster) tell(i int, drop bool) {
	n := &c.nodes[i]
	c.serial++
	n.holds[c.serial] = true
	if n.fresh != nil {
		n.fresh[c.serial] = true
		c.begun[c.serial] = i
	}
	for k := range c.nodes {
		if k != i && n.known && c.nodes[k].known && !c.nodes[k].dead && c.rng.IntN(3) > 0 {
			c.nodes[k].holds[c.serial] = true
		}
	}
	if n.link && !drop {
		c.ours[c.serial] = true
	}
	if n.link {
		c.p.Heard(c.now, int32(i+1))
	}
}

// doomed tells whether a dialog is none that matters: the node that accepted it isn't synced and ends it, or has done so.
func (c *cluster) doomed(x int) bool {
	i, ok := c.begun[x]
	return ok && (c.nodes[i].fresh[x] || c.ended[x])
}

func (c *cluster) broke(i int, how donor.Break) {
	if c.running == i {
		c.cut = true
	}
	c.p.Broke(int32(i+1), "a connection ended", how)
}

// restart lets a node die and come back.
func (c *cluster) restart(i int) {
	n, id := &c.nodes[i], int32(i+1)
	if n.link {
		c.broke(i, donor.Closed)
		if c.rng.IntN(2) == 0 {
			c.p.Down(id)
		}
	}
	*n = proxy{holds: holdings{}, fresh: holdings{}, known: true}
	c.now = c.now.Add(time.Second)
	if c.rng.IntN(2) == 0 {
		c.tell(i, true) // before its link is up
	}
	n.link = true
	first := c.rng.IntN(2) == 0
	if first {
		c.p.Up(c.now, id)
	}
	c.p.Restarted(c.now, id)
	if !first {
		c.p.Up(c.now, id)
	}
	if c.rng.IntN(2) == 0 {
		c.tell(i, true)
		c.p.Missed(c.now, id, "it takes the link for new")
	}
}

// synced lets a node ask another one, or this one, for a sync.
func (c *cluster) synced(i int, ours, announced bool) {
	n, id := &c.nodes[i], int32(i+1)
	if n.dead || !n.link {
		return
	}
	switch k := c.rng.IntN(len(c.nodes)); {
	case ours && announced:
		c.p.Unsynced(id)
		c.p.Serving(id, true)
		for x := range n.holds {
			if !c.ours[x] {
				delete(n.holds, x)
				c.ended[x] = true
			}
		}
		n.holds.add(c.ours)
	case ours:
		return
	case k != i && c.nodes[k].known && !c.nodes[k].dead:
		c.p.Unsynced(id)
		n.holds.add(c.nodes[k].holds)
	}
	n.fresh = nil
	c.p.Synced(id)
}

func (c *cluster) step(announced bool) {
	i := c.rng.IntN(len(c.nodes))
	n, id := &c.nodes[i], int32(i+1)
	kind := [...]int{0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 8, 8, 9, 9, 9, 9, 10, 10}[c.rng.IntN(19)]
	c.trace = append(c.trace, fmt.Sprintf("event %d of node %d", kind, id))
	switch kind {
	case 0: // the network comes back
		if !n.dead {
			n.link, n.known = true, true
			c.p.Up(c.now, id)
		}
	case 1: // the network fails, and we notice
		if n.link {
			n.link = false
			c.broke(i, donor.Lossy)
			c.p.Down(id)
		}
	case 2, 3:
		if !n.dead {
			c.tell(i, false)
		}
	case 4: // a connection breaks, and what it held is lost
		if n.link {
			c.tell(i, true)
			c.broke(i, donor.Lossy)
		}
	case 5:
		c.restart(i)
	case 6: // it dies, and stays away
		if n.link {
			c.broke(i, donor.Closed)
			c.p.Down(id)
		}
		*n = proxy{holds: holdings{}, known: n.known, dead: true}
	case 7: // we drop an event
		if n.link && c.rng.IntN(3) == 0 {
			c.tell(i, true)
			c.cut = true
			c.p.Lost("events were dropped here")
		}
	case 8:
		if n.link && c.running < 0 {
			c.p.SyncBegan()
			c.running, c.cut = i, false
		}
	case 9:
		if c.running >= 0 {
			d := &c.nodes[c.running]
			if !c.cut && !d.dead {
				c.ours.add(d.holds)
			}
			c.p.SyncDone(int32(c.running+1), 1, true, func(id int32) bool { return !c.nodes[id-1].dead })
			c.running = -1
		}
	case 10:
		switch c.rng.IntN(8) {
		case 0:
			c.p.Removed(id)
			n.link, n.known = false, false
			c.cut = c.cut || c.running == i
		case 1, 2, 3:
			c.synced(i, true, announced)
		default:
			c.synced(i, false, announced)
		}
	}
}

// TestPromiseProperty plays random events against a Promise. Whatever the order, it never announces a table that lacks
// what a node would lose by it.
func TestPromiseProperty(t *testing.T) {
	announced := 0
	for seed := range uint64(4000) {
		rng := rand.New(rand.NewPCG(seed, 9))
		c := &cluster{rng: rng, p: donor.NewPromise(donor.Auto, rng.IntN(2) == 0), now: began(), nodes: make([]proxy, 1+rng.IntN(3)),
			ours: holdings{}, begun: map[int]int{}, ended: holdings{}, running: -1}
		for i := range c.nodes {
			c.nodes[i].holds = holdings{}
			c.tell(i, true) // from before we came
		}
		said := false
		for range 80 {
			c.now = c.now.Add(time.Duration(rng.IntN(2000)) * time.Millisecond)
			c.step(said)
			d := c.p.Decide(true)
			if said = d.Announce; !said {
				continue
			}
			announced++
			for k := range c.nodes {
				n := &c.nodes[k]
				for x := range n.holds {
					if n.known && !c.ours[x] && !c.doomed(x) {
						t.Fatalf("seed %d: announced (%s) while dialog %d of node %d is missing:\n%s", seed, d.Why, x, k+1, strings.Join(c.trace, "\n"))
					}
				}
			}
		}
	}
	if announced == 0 {
		t.Error("nothing was ever announced")
	}
}

// TestRestartWithLateLink: a restarted node takes its links for new more than once, until they work. That is no gap: real
// nodes do it, and would never be answered.
func TestRestartWithLateLink(t *testing.T) {
	p, now := wholeOf(donor.Auto, 1), began()
	p.Broke(1, "closed", donor.Closed)
	p.Down(1)
	p.Up(now, 1)
	p.Missed(now, 1, "link was lost")
	p.Restarted(now, 1)
	p.Missed(now.Add(700*time.Millisecond), 1, "node probes the link")
	if d := p.Decide(true); !d.Announce {
		t.Errorf("not announced: %s", d.Why)
	}
	p.Missed(now.Add(time.Minute), 1, "node probes the link")
	if d := p.Decide(true); d.Announce {
		t.Error("announced after a gap")
	}
}

// TestSyncedWithoutUs: a restarted node that gave up asking keeps the calls that it accepted before its link was up.
func TestSyncedWithoutUs(t *testing.T) {
	p, now := wholeOf(donor.Auto, 1), began()
	p.Broke(1, "closed", donor.Closed)
	p.Up(now, 1)
	p.Restarted(now, 1)
	p.Synced(1)
	if d := p.Decide(true); d.Announce {
		t.Error("announced, and the node was synced by itself")
	}
	if why, node := p.NeedsSync(); why == "" || node != 1 {
		t.Errorf("wants a sync of node %d: %q", node, why)
	}
}

// TestUnsureNode: a node that isn't synced is asked where nobody else can be, but not after a restart that followed a gap.
func TestUnsureNode(t *testing.T) {
	p, now := donor.NewPromise(donor.Auto, false), began()
	p.Up(now, 1)
	if len(p.Unsure()) != 1 {
		t.Error("the only node isn't asked")
	}
	p.SyncBegan()
	p.SyncDone(1, 3, true, func(int32) bool { return false })
	if d := p.Decide(true); !d.Announce {
		t.Errorf("not announced: %s", d.Why)
	}
	p.Broke(1, "timeout", donor.Lossy)
	p.Heard(now, 1)
	p.Heard(now.Add(time.Minute), 1)
	if len(p.Unsure()) != 1 {
		t.Error("the only node isn't asked after a gap in its life")
	}
	p.Broke(1, "closed", donor.Closed)
	p.Restarted(now.Add(2*time.Minute), 1)
	if len(p.Unsure()) != 0 {
		t.Error("the node is asked though it was restarted after a gap")
	}
	p = donor.NewPromise(donor.Auto, true)
	p.Up(now, 1)
	if len(p.Unsure()) != 0 {
		t.Error("the node is asked though the table is an old one")
	}
	p.Synced(1)
	p.Unsynced(1)
	if len(p.Unsure()) != 1 {
		t.Error("the node isn't asked though it was synced in this life")
	}
}

// wholeOf returns a Promise after a complete sync of each node.
func wholeOf(m donor.Mode, nodes ...int32) *donor.Promise {
	p := donor.NewPromise(m, false)
	for _, id := range nodes {
		p.Up(began(), id)
	}
	for _, id := range nodes {
		p.SyncBegan()
		p.SyncDone(id, 1, true, func(int32) bool { return true })
	}
	return p
}
