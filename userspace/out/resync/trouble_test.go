package resync_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/packets/packetstest"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/out/shield"
)

func TestAnOverrunTailCostsAnotherPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 1<<20)
		p := newProxy(1, 3000)
		a.fill(p, 2500)
		l := newWire(ours)
		batches := 0
		l.meanwhile = func(int) {
			if batches++; batches != 2 {
				return
			}
			var buf []byte
			for range 5000 { // 2 MB through a journal of 1 MiB
				buf = p.Next(buf[:0])
				a.take(buf)
			}
		}
		s, err := a.sync(l, nil)
		if err != nil || s.Passes != 2 || s.Overruns != 1 || s.TailLost == 0 {
			t.Fatalf("%+v, %v", s, err)
		}
		a.compare(l, a.live(), false)
	})
}

func TestMoreChangesThanTheRateEndInAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 1<<20)
		p := newProxy(1, 1200)
		a.fill(p, 1000)
		l := newWire(ours)
		var buf []byte
		l.meanwhile = func(int) {
			for range 3000 { // 1.2 MB through a journal of 1 MiB
				buf = p.Next(buf[:0])
				a.take(buf)
			}
		}
		if s, err := a.sync(l, nil); !errors.Is(err, resync.ErrOverrun) || s.Complete || s.Overruns == 0 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestNobodyAnswers(t *testing.T) {
	for name, result := range map[error]error{resync.ErrNobodyAnswers: packets.ErrRefused, resync.ErrUnreachable: packets.ErrNoRoute} {
		for _, dialogs := range []int{1, 1000} {
			synctest.Test(t, func(t *testing.T) {
				a := newAppliance(t, 0)
				a.fill(newProxy(1, 1000), dialogs)
				sink := packetstest.NewSink()
				s, err := resync.New(resync.Config{Table: a.table, Sink: sink, OpenTail: a.tail, To: standby, Rate: 4000})
				if err != nil {
					t.Fatal(err)
				}
				go func() { // the report comes a moment later, as by ICMP
					sink.WaitSent(context.Background(), 1)
					time.Sleep(10 * time.Millisecond)
					sink.Report(standby, errors.New("too long"))   // says nothing about the destination
					sink.Report(packets.Endpoint{Port: 1}, result) // is about another one
					time.Sleep(10 * time.Millisecond)
					sink.Report(standby, fmt.Errorf("reported: %w", result))
					sink.Report(standby, fmt.Errorf("reported: %w", result))
				}()
				sum, err := s.Run(context.Background())
				if !errors.Is(err, name) || sum.Complete || !strings.Contains(err.Error(), "192.0.2.1:5556") {
					t.Errorf("%+v, %v", sum, err)
				}
				if sum.Packets > 200 {
					t.Errorf("%d packets sent all the same", sum.Packets)
				}
			})
		}
	}
}

func TestErrorsOfTheSink(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		times int
		want  error
		lost  uint64
	}{
		{"refused", packets.ErrRefused, 1, resync.ErrNobodyAnswers, 0},
		{"no route", packets.ErrNoRoute, 1, resync.ErrUnreachable, 0},
		{"closed", net.ErrClosed, 1, net.ErrClosed, 0},
		{"queue full for a while", packets.ErrFull, 20, nil, 0},
		{"too long", errors.New("too long"), 3, nil, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAppliance(t, 0)
				a.fill(newProxy(1, 1000), 500)
				sink, failures := packetstest.NewSink(), 0
				sink.Refuse(func(packets.Message) error {
					if failures < c.times {
						failures++
						return c.err
					}
					return nil
				})
				s, err := resync.New(resync.Config{Table: a.table, Sink: sink, OpenTail: a.tail, To: standby})
				if err != nil {
					t.Fatal(err)
				}
				sum, err := s.Run(context.Background())
				if c.want != nil {
					if !errors.Is(err, c.want) || sum.Complete {
						t.Errorf("%+v, %v", sum, err)
					}
					return
				}
				if err != nil || sum.SendErrors != c.lost || sum.Packets+c.lost != sum.Dialogs+sum.Deletions || len(sink.Sent()) != int(sum.Packets) {
					t.Errorf("%d sent: %+v, %v", len(sink.Sent()), sum, err)
				}
			})
		})
	}
}

func TestStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 0)
		a.fill(newProxy(1, 3000), 2000)
		ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
		defer cancel()
		s, err := resync.New(resync.Config{Table: a.table, Sink: newWire(ours), OpenTail: a.tail, To: standby, Rate: 1000})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := s.Run(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || sum.Complete || sum.Passes != 0 ||
			sum.Packets < 200 || sum.Packets > 260 || sum.Visited == 0 || sum.Visited > 300 {
			t.Errorf("%+v, %v", sum, err)
		}
		if p := s.Progress(); !p.Done || p.Packets != sum.Packets || p.Passes != 2 || p.Pass != 1 {
			t.Errorf("progress %+v", p)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	a := newAppliance(t, 0)
	good := resync.Config{Table: a.table, Sink: nowhere{}, OpenTail: a.tail, To: standby}
	for name, change := range map[string]func(*resync.Config){
		"no table":       func(c *resync.Config) { c.Table = nil },
		"no sink":        func(c *resync.Config) { c.Sink = nil },
		"no tail":        func(c *resync.Config) { c.OpenTail = nil },
		"no destination": func(c *resync.Config) { c.To = packets.Endpoint{} },
		"rate":           func(c *resync.Config) { c.Rate = -1 },
		"passes":         func(c *resync.Config) { c.Passes = -1 },
		"rules":          func(c *resync.Config) { c.Policy.Rewrites = []shield.SocketRewrite{{}} },
	} {
		cfg := good
		change(&cfg)
		if _, err := resync.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
