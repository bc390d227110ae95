package proxies

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/mi"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/audit"
	"binrepd/userspace/watch/control"
)

// share is the part of the time that a proxy works for an audit or import.
const share = 0.5

// settle is how long an event may be on its way. A difference must outlive it.
const settle = 3 * time.Second

// Service asks proxies for one appliance. Table, Steering and Engine are required.
type Service struct {
	Table    *dialog.Table
	Steering packets.Steering
	Engine   *engine.Engine
	// Settle is how long to wait for events that are on their way; 0: 3 s.
	Settle time.Duration

	mu     sync.Mutex
	busy   map[string]bool // proxies that are being asked, by address
	audits []control.AuditStatus
}

// Routes are the requests that the service answers.
func (s *Service) Routes() []control.Route {
	return []control.Route{
		{Pattern: "POST " + auditPath, Answer: answer(s.audit)},
		{Pattern: "POST " + arrivedPath, Answer: answer(s.arrived)},
		{Pattern: "POST " + importPath, Answer: answer(s.importAll)},
	}
}

// answer reads a request for one that answers it.
func answer[Request any](
	do func(context.Context, Request, func(any) error) error,
) func(context.Context, []byte, func(any) error) error {
	return func(ctx context.Context, body []byte, write func(any) error) error {
		var req Request
		if err := json.Unmarshal(body, &req); err != nil {
			return &control.RequestError{Err: err}
		}
		return do(ctx, req, write)
	}
}

func wrong(format string, args ...any) error {
	return &control.RequestError{Err: fmt.Errorf(format, args...)}
}

// connect connects to a proxy, unless it is being asked already. The caller must call done.
func (s *Service) connect(ctx context.Context, address string) (c *mi.Client, a mi.Address, done func(), err error) {
	if a, err = mi.ParseAddress(address); err != nil {
		return nil, a, nil, wrong("--mi: %w", err)
	}
	name := a.String()
	if !s.take(name) {
		return nil, a, nil, fmt.Errorf("%s is being asked already, by another audit or import: wait until that is done", name)
	}
	if c, err = mi.Connect(ctx, a); err != nil {
		s.free(name)
		return nil, a, nil, err
	}
	c.Spare(share)
	return c, a, func() { c.Close(); s.free(name) }, nil
}

// take reserves a proxy, unless somebody else has.
func (s *Service) take(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[name] {
		return false
	}
	if s.busy == nil {
		s.busy = map[string]bool{}
	}
	s.busy[name] = true
	return true
}

func (s *Service) free(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, name)
}

// expected returns which dialogs of the table a proxy should have, and says so in words. all is true if it is all of
// them.
func (s *Service) expected(ctx context.Context, t *Target, a mi.Address) (choose func(*dialog.View) bool, words string, all bool, err error) {
	q := url.Values{}
	if t.Origin != "" {
		q.Set("origin", t.Origin)
		words = "those from " + t.Origin
	}
	if t.Node > 0 {
		q.Set("node", fmt.Sprint(t.Node))
		words = fmt.Sprintf("those from node %d", t.Node)
	}
	if len(q) == 0 {
		host := s.source(hostAddresses(ctx, a))
		if !host.IsValid() {
			return nil, "all", true, nil
		}
		q.Set("origin", host.String())
		words = "those from " + host.String()
	}
	f, err := control.ParseFilter(q)
	if err != nil {
		return nil, "", false, wrong("%w", err)
	}
	of, suits := s.choose(f), map[uint16]bool{} // the filter is about sources alone, so each is compared once
	return func(v *dialog.View) bool {
		suit, known := suits[v.Origin()]
		if !known {
			suit = of(v)
			suits[v.Origin()] = suit
		}
		return suit
	}, words, false, nil
}

// choose returns a function that tells whether a filter chooses a dialog of the table.
func (s *Service) choose(f control.Filter) func(*dialog.View) bool {
	return func(v *dialog.View) bool {
		return f.Chooses(v.State(), v.Layout(), v.Body(), s.Engine.Sender(v.Origin()))
	}
}

// hostAddresses returns the addresses of the proxy's host.
func hostAddresses(ctx context.Context, a mi.Address) []netip.Addr {
	list, err := resolve(ctx, a.Host())
	if err != nil {
		return nil
	}
	return list
}

// source returns the first of the addresses that sent datagrams, or the zero value.
func (s *Service) source(list []netip.Addr) netip.Addr {
	for _, src := range s.senders() {
		if src.Node == 0 {
			for _, host := range list {
				if src.AddrPort().Addr() == host {
					return host
				}
			}
		}
	}
	return netip.Addr{}
}

// senders returns the known sources.
func (s *Service) senders() (list []packets.Sender) {
	status := s.Engine.Status()
	for i := range status.Sources {
		if sender := status.Sources[i].Sender; sender != (packets.Sender{}) {
			list = append(list, sender)
		}
	}
	return list
}

// audit answers an AuditRequest.
func (s *Service) audit(ctx context.Context, req AuditRequest, write func(any) error) error {
	return s.auditEach(ctx, req, func(l auditLine) error { return write(l) })
}

func (s *Service) auditEach(ctx context.Context, req AuditRequest, write func(auditLine) error) error {
	c, a, done, err := s.connect(ctx, req.MI)
	if err != nil {
		return err
	}
	defer done()
	choose, words, all, err := s.expected(ctx, &req.Target, a)
	if err != nil {
		return err
	}
	if req.Repair && all && len(s.senders()) > 1 {
		return wrong("--repair: dialogs come from several sources here. Say with --node or --origin which of them are those of %s", a)
	}
	cfg := s.config(c, write)
	cfg.Expected = choose
	if req.Repair {
		cfg.End = func(name dialog.Name, updated uint32) bool {
			return s.Engine.End(s.Steering.CallID(name.CallID()), name, func(v *dialog.View) bool { return v.Updated() == updated })
		}
		in := s.importer(c, s.originOf(ctx, &req.Target, a))
		cfg.Import = func(d *mi.Dialog) bool { return in.take(d).Changed() }
	}
	return s.run(ctx, c, a, cfg, AuditSummary{Repair: req.Repair, Expected: words}, write)
}

// arrived answers an ArrivedRequest.
func (s *Service) arrived(ctx context.Context, req ArrivedRequest, write func(any) error) error {
	q, err := url.ParseQuery(req.Filter)
	if err != nil {
		return wrong("%w", err)
	}
	f, err := control.ParseFilter(q)
	if err != nil {
		return wrong("%w", err)
	}
	c, a, done, err := s.connect(ctx, req.MI)
	if err != nil {
		return err
	}
	defer done()
	line := func(l auditLine) error { return write(l) }
	cfg := s.config(c, line)
	cfg.Towards, cfg.Before, cfg.Expected = true, req.Before, s.choose(f)
	return s.run(ctx, c, a, cfg, AuditSummary{Expected: "those that were sent"}, line)
}

// config is what every audit has.
func (s *Service) config(c *mi.Client, write func(auditLine) error) audit.Config {
	wait := s.Settle
	if wait == 0 {
		wait = settle
	}
	return audit.Config{
		Proxy: c, Table: s.Table, Steering: s.Steering, Now: func() int64 { return time.Now().Unix() },
		Wait: func(ctx context.Context) error {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		Each: func(f *audit.Finding) error { return write(auditLine{Finding: s.render(f)}) },
	}
}

// run runs an audit and writes its summary.
func (s *Service) run(ctx context.Context, c *mi.Client, a mi.Address, cfg audit.Config, sum AuditSummary, write func(auditLine) error) error {
	begin := time.Now()
	r, err := audit.Run(ctx, cfg)
	if err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	sum.Proxy, sum.Version, sum.Equal = a.String(), string(cut(c.Version())), r.Equal()
	sum.AuditCounts = control.AuditCounts{
		Dialogs: r.Proxy, Here: r.Here, Compared: r.Compared, Missing: r.Missing, There: r.There, Different: r.Different,
		Repaired: r.Repaired, Recent: r.Recent, Unclear: r.Unclear, Unchecked: r.Unchecked, Asked: r.Asked,
		Seconds: time.Since(begin).Seconds(),
	}
	return write(auditLine{Summary: &sum})
}

// render makes a finding ready for a client.
func (s *Service) render(f *audit.Finding) *Finding {
	out := &Finding{
		Kind: string(f.Kind), CallID: cut(f.CallID), CallerTag: cut(f.FromTag), CalleeTag: cut(f.ToTag),
		Updated: f.Updated, Repaired: f.Repaired,
	}
	if f.Updated != 0 {
		out.Origin = control.SenderName(s.Engine.Sender(f.Origin))
	}
	for _, d := range f.Fields {
		out.Fields = append(out.Fields, Field{d.Field, cut(d.Here), cut(d.Proxy)})
	}
	return out
}

// maxShown is how many bytes of a field are shown. A line of an answer has a limit, and so has a reader's patience.
const maxShown = 2048

func cut(text string) control.Text {
	if len(text) > maxShown {
		text = text[:maxShown] + "..."
	}
	return control.Text(text)
}
