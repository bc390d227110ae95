package doctor

import (
	"context"
	"fmt"
	"os"
	"time"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/tuning"
)

// recordHeader is the most that a record needs beside its packet, in bytes: header and rounding.
const recordHeader = 64

// usualRecord is the size of a record, in bytes, if nothing has been received yet.
const usualRecord = 512

// tune adds what would make the appliance faster. None of it is a problem.
func (r *Report) tune(ctx context.Context, links []linkFacts, cfg Config) {
	root := os.DirFS("/")
	host := tuning.ReadHost(root)
	status, err := control.NewClient(cfg.Control).Status(ctx)
	appliance := Finding{Check: "appliance", Status: OK, Value: "none runs here, or it doesn't answer: its rings are not judged"}
	var daemon tuning.Daemon
	if err == nil {
		daemon = daemonFacts(&status, time.Now())
		daemon.Pinned = tuning.ReadPinned(root, status.PID)
		appliance.Value = fmt.Sprintf("process %d runs, %.0f events a second", status.PID, daemon.Rate)
	}
	r.Findings = append(r.Findings, appliance)
	for _, l := range status.Listeners {
		if l.Hint != "" {
			r.Findings = append(r.Findings, Finding{Check: "listener", Status: Warning, Value: l.Address, Advice: l.Hint})
		}
	}
	if cold := status.Cold(); cold != "" {
		r.Findings = append(r.Findings, Finding{Check: "cold start", Status: Warning, Value: "calls are missing", Advice: cold})
	}
	known := make([]tuning.Link, len(links))
	for i, l := range links {
		known[i] = tuning.ReadLink(root, l.Name, l.Index)
		mode := r.Interfaces[i].Mode
		for _, served := range status.Interfaces {
			if l.Own && served.Name == l.Name {
				mode = served.Mode
			}
		}
		advice := tuning.AdviseLink(host, known[i], tuning.AskDriver(l.Name), mode != control.ModeNative)
		r.Interfaces[i].Findings = append(r.Interfaces[i].Findings, asFindings(advice)...)
	}
	r.Findings = append(r.Findings, asFindings(tuning.AdviseHost(host, daemon, known))...)
	r.Findings = append(r.Findings, asFindings(tuning.AdviseRings(daemon, cfg.Stall))...)
}

// daemonFacts takes from a status what is needed to judge the rings. Rate is the current one or the mean since the start,
// whichever is higher.
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

func asFindings(advice []tuning.Finding) []Finding {
	var all []Finding
	for _, a := range advice {
		f := Finding{Check: a.Check, Status: OK, Value: a.Value, Advice: a.Advice}
		if !a.Well {
			f.Status = Warning
		}
		all = append(all, f)
	}
	return all
}
