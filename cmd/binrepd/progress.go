package main

import (
	"fmt"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/telemetry"
)

// look takes the counters, and sees how far everybody is who has to go on. That it returns is a sign of life, too, but none of the
// workers: nothing in it waits for a lock of theirs.
func (a *appliance) look() (control.Status, []telemetry.Consumer) {
	s := a.counters()
	consumers := a.input.consumers()
	for _, p := range a.engine.Progress() { // behind: there are no workers yet when the engine doesn't run
		c := telemetry.Consumer{Name: p.Name, Steps: p.Steps}
		if p.AtWork {
			c.Waits = "what it has begun is not done"
		}
		consumers = append(consumers, c)
	}
	return s, consumers
}

// consumers tells how far the rings and the sockets are read. That is not how far their workers are: one may wait for what has long been there.
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
			st.Waiting = 0 // it may: its turn comes behind what an earlier process has left in the rings
		}
		// Not how many datagrams it gave: errors about what was sent are taken from there, too, and those that a gate turns away.
		list = append(list, consumer("socket "+in.options.Listen[i].String(), st.Reads, st.Waiting))
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
