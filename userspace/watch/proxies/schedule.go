package proxies

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"binrepd/userspace/mi"
	"binrepd/userspace/watch/control"
)

// Scheduled is an audit that is done again and again. It repairs nothing.
type Scheduled struct {
	MI       string
	Interval time.Duration
}

// Least and most time between two audits of one proxy.
const (
	MinInterval = time.Minute
	MaxInterval = 7 * 24 * time.Hour
)

// ParseScheduled reads URL@INTERVAL, such as http://10.0.0.1:8888/mi@1h.
func ParseScheduled(text string) (s Scheduled, err error) {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return s, errors.New("write URL@INTERVAL, such as http://10.0.0.1:8888/mi@1h")
	}
	s.MI = text[:at]
	if s.Interval, err = time.ParseDuration(text[at+1:]); err != nil || s.Interval < MinInterval || s.Interval > MaxInterval {
		return s, fmt.Errorf("the interval behind the last @ must be a duration from %s to %s", MinInterval, MaxInterval)
	}
	_, err = mi.ParseAddress(s.MI)
	return s, err
}

// Run audits proxies until ctx ends, each on its own schedule. The first audit comes a tenth of the interval after the
// start, at most a minute, when the appliance has had time to learn of the calls.
func (s *Service) Run(ctx context.Context, list []Scheduled, log *slog.Logger) {
	s.mu.Lock()
	s.audits = make([]control.AuditStatus, len(list))
	for i, one := range list {
		a, _ := mi.ParseAddress(one.MI)
		s.audits[i] = control.AuditStatus{Proxy: a.String(), Interval: one.Interval.Seconds()}
	}
	s.mu.Unlock()
	var all sync.WaitGroup
	defer all.Wait()
	for i, one := range list {
		all.Go(func() {
			next := time.NewTimer(min(one.Interval/10, time.Minute))
			defer next.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-next.C:
				}
				s.scheduled(ctx, i, one, log)
				next.Reset(one.Interval)
			}
		})
	}
}

// scheduled does one audit.
func (s *Service) scheduled(ctx context.Context, i int, one Scheduled, log *slog.Logger) {
	s.change(i, func(a *control.AuditStatus) { a.Running = true })
	var sum *AuditSummary
	err := s.auditEach(ctx, AuditRequest{Target: Target{MI: one.MI}}, func(l auditLine) error {
		if l.Summary != nil {
			sum = l.Summary
		}
		return nil
	})
	if ctx.Err() != nil {
		return
	}
	s.change(i, func(a *control.AuditStatus) {
		a.Running, a.Error = false, ""
		if err != nil {
			a.Error = control.OneLine(err)
			log.Warn("audit", "proxy", a.Proxy, "error", a.Error)
			return
		}
		a.Last, a.AuditCounts = time.Now(), sum.AuditCounts
		if sum.Equal {
			log.Info("audit", "proxy", a.Proxy, "result", sum.Text())
		} else {
			log.Warn("audit", "proxy", a.Proxy, "result", sum.Text())
		}
	})
}

func (s *Service) change(i int, f func(*control.AuditStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.audits[i])
}

// Status fills in the scheduled audits.
func (s *Service) Status(out *control.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Audits = slices.Clone(s.audits)
	if out.Audits == nil {
		out.Audits = []control.AuditStatus{}
	}
}
