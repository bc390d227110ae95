package appliance

import (
	"fmt"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/telemetry"
)

// look returns the counters, and the progress of every part that must not get stuck. That it returns says nothing about
// the workers: nothing in it waits for a lock of theirs.
func (a *Appliance) look() (control.Status, []telemetry.Consumer) {
	s := a.counters()
	consumers := a.input.consumers()
	for _, p := range a.engine.Progress() { // none before the engine runs
		c := telemetry.Consumer{Name: p.Name, Steps: p.Steps}
		if p.AtWork {
			c.Waits = "what it has begun is not done"
		}
		consumers = append(consumers, c)
	}
	return s, consumers
}

// consumers returns how far the rings and the sockets are read. The progress of their workers is apart from it: a worker
// may be stuck with a batch that it has read.
func (in *input) consumers() (list []telemetry.Consumer) {
	inherited := false
	for i, r := range in.rings {
		st := r.Stats()
		inherited = inherited || st.Inherited > 0
		list = append(list, consumer(fmt.Sprintf("ring %d", i), st.Records, st.Fill))
	}
	for i, sock := range in.sockets {
		st := sock.Stats()
		if inherited {
			st.Waiting = 0 // sockets wait until what an earlier process left in the rings is applied
		}
		// Reads, because not every read yields a packet: a socket also yields errors about what was sent, and the gate
		// refuses packets.
		list = append(list, consumer("socket "+in.config.Listen[i].String(), st.Reads, st.Waiting))
	}
	return list
}

func consumer(name string, steps, waiting uint64) telemetry.Consumer {
	c := telemetry.Consumer{Name: name, Steps: steps}
	if waiting > 0 {
		c.Waits = fmt.Sprintf("%d bytes wait in it", waiting)
	}
	return c
}
