package donor_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"binrepd/userspace/cluster/donor"
)

// proxy is the truth about a node in the property test: how many of the things that it told are missing here.
type proxy struct {
	link    bool // it reaches us
	up      bool // as the link machine told the Promise
	known   bool
	missing int
	cut     bool // the connection ended, and it hasn't come back
}

// TestPromiseProperty plays random events against a Promise. Whatever the order, it never announces a table that lacks
// something that somebody else has.
func TestPromiseProperty(t *testing.T) {
	announced := 0
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 9))
		p := donor.NewPromise(donor.Auto, rng.IntN(2) == 0)
		now := began()
		nodes := make([]proxy, 1+rng.IntN(3))
		lost, running, tainted := rng.IntN(2) == 0, -1, false
		for i := range nodes {
			nodes[i].missing = rng.IntN(3) // from before we came
		}
		for range 60 {
			now = now.Add(time.Duration(rng.IntN(2000)) * time.Millisecond)
			i := rng.IntN(len(nodes))
			n, id := &nodes[i], int32(i+1)
			switch rng.IntN(9) {
			case 0: // the network comes back, and the node with it
				n.link, n.cut = true, false
				n.known, n.up = true, true
				p.Up(now, id)
			case 1: // the network fails, and we notice
				if n.link {
					n.link, n.up = false, false
					p.Down(id)
				}
			case 2: // the node tells something; one whose connection ended connects again
				switch {
				case n.link:
					n.cut = false
					p.Heard(now, id)
				default:
					n.missing++
				}
			case 3: // a connection breaks, and what it held is lost
				if n.link {
					n.missing++
					p.Broke(id, "a connection ended", false)
				}
			case 4: // the node dies and comes back
				if n.link {
					p.Broke(id, "a connection ended", true)
				}
				if alone(nodes, i) {
					n.missing = 0 // nobody has it any more
				}
				now = now.Add(time.Second)
				n.link, n.up, n.known = true, true, true
				if rng.IntN(2) == 0 {
					p.Up(now, id)
				}
				p.Restarted(now, id)
				if rng.IntN(2) == 0 {
					p.Up(now, id)
				}
			case 5:
				lost = true
				p.Lost("events were dropped here")
				tainted = true
			case 6:
				if n.up && running < 0 {
					p.SyncBegan()
					running, tainted = i, false
				}
			case 7:
				if running >= 0 {
					d := &nodes[running]
					if d.up && !tainted && d.missing >= 0 {
						fill(nodes, &lost)
					}
					p.SyncDone(int32(running+1), 1, true, func(int32) bool { return true })
					running = -1
				}
			case 8:
				p.Removed(id)
				*n = proxy{missing: n.missing + 1}
			}
			d := p.Decide(true)
			if !d.Announce {
				continue
			}
			announced++
			for k := range nodes {
				if nodes[k].missing > 0 && nodes[k].known {
					t.Fatalf("seed %d: announced (%s) while %d of node %d are missing", seed, d.Why, nodes[k].missing, k+1)
				}
			}
			if lost {
				t.Fatalf("seed %d: announced after losses", seed)
			}
		}
	}
	if announced == 0 {
		t.Error("nothing was ever announced")
	}
}

func alone(nodes []proxy, i int) bool {
	for k := range nodes {
		if k != i && nodes[k].up {
			return false
		}
	}
	return true
}

// fill is what a complete sync does: a donor has what all nodes told.
func fill(nodes []proxy, lost *bool) {
	for i := range nodes {
		if nodes[i].up {
			nodes[i].missing = 0
		}
	}
	*lost = false
}
