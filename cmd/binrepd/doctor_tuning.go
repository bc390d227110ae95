package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/tuning"
)

// defaultStall is for how long a consumer may stand still without loss, unless doctor is told otherwise: about what a restart of the
// appliance under --pin takes.
const defaultStall = 2 * time.Second

// recordHeader bounds what a record has beside a packet: its header, and what it is rounded up by.
const recordHeader = 64

// usualRecord is the size of a record, in bytes, where nothing has been received yet.
const usualRecord = 512

// tune adds to the report what could be changed so that the appliance is faster. Nothing of it is a problem.
func (r *report) tune(ctx context.Context, links []linkFacts, socket string, stall time.Duration) {
	root := os.DirFS("/")
	host := tuning.ReadHost(root)
	status, err := control.NewClient(socket).Status(ctx)
	appliance := finding{Check: "appliance", Status: findingOK, Value: "none runs here, or it doesn't answer: its rings are not judged"}
	var daemon tuning.Daemon
	if err == nil {
		daemon = daemonFacts(&status, time.Now())
		daemon.Pinned = tuning.ReadPinned(root, status.PID)
		appliance.Value = fmt.Sprintf("process %d runs, %.0f events a second", status.PID, daemon.Rate)
	}
	r.Findings = append(r.Findings, appliance)
	known := make([]tuning.Link, len(links))
	for i, l := range links {
		known[i] = tuning.ReadLink(root, l.Name, l.Index)
		mode := r.Interfaces[i].Mode
		for _, served := range status.Interfaces {
			if l.Busy && served.Name == l.Name {
				mode = served.Mode
			}
		}
		advice := tuning.AdviseLink(host, known[i], tuning.AskDriver(l.Name), mode != modeNative)
		r.Interfaces[i].Findings = append(r.Interfaces[i].Findings, asFindings(advice)...)
	}
	r.Findings = append(r.Findings, asFindings(tuning.AdviseHost(host, daemon, known))...)
	r.Findings = append(r.Findings, asFindings(tuning.AdviseRings(daemon, stall))...)
}

// daemonFacts takes from a status what the rings are judged by. The rate is the higher one of now and since the start.
func daemonFacts(s *control.Status, now time.Time) tuning.Daemon {
	d := tuning.Daemon{RecordBytes: usualRecord}
	for _, ring := range s.Rings {
		d.Rings = append(d.Rings, tuning.Ring{Size: ring.Size, HighWater: ring.HighWater})
	}
	for _, source := range s.Sources {
		d.Rate += source.Rate
	}
	if up := now.Sub(s.Started).Seconds(); up > 1 {
		d.Rate = max(d.Rate, float64(s.Seen)/up)
	}
	if dialogs := s.Dialogs + s.Early; dialogs > 0 {
		d.RecordBytes = float64(s.Memory.Records)/float64(dialogs) + recordHeader
	}
	return d
}

func asFindings(advice []tuning.Finding) []finding {
	var all []finding
	for _, a := range advice {
		f := finding{Check: a.Check, Status: findingOK, Value: a.Value, Advice: a.Advice}
		if !a.Well {
			f.Status = findingWarning
		}
		all = append(all, f)
	}
	return all
}
