package live

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gdamore/tcell/v3/vt"

	"binrepd/userspace/watch/control"
)

// fake is an appliance with configurable answers.
type fake struct {
	mu     sync.Mutex
	n      int // number of answers
	err    error
	stuck  bool // no answer until the client gives up
	calls  []control.Dialog
	status func(n int) control.Status
}

func (a *fake) set(change func(*fake)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

func (a *fake) Status(ctx context.Context) (control.Status, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stuck {
		a.mu.Unlock()
		<-ctx.Done()
		a.mu.Lock()
		return control.Status{}, ctx.Err()
	}
	a.n++
	return a.status(a.n), a.err
}

func (a *fake) Dialogs(_ context.Context, f control.Filter, each func([]byte) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.calls {
		if string(a.calls[i].CallID) == f.CallID {
			text, err := json.Marshal(&a.calls[i])
			if err != nil {
				return err
			}
			if err := each(text); err != nil {
				return err
			}
		}
	}
	return a.err
}

// display is a terminal that Run uses.
type display struct {
	t    *testing.T
	term vt.MockTerm
	done chan error
	stop context.CancelFunc
}

func startRun(t *testing.T, a Appliance, width, height int) *display {
	t.Helper()
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("LC_ALL", "C.UTF-8")
	ctx, cancel := context.WithCancel(t.Context())
	d := &display{t: t, term: vt.NewMockTerm(vt.MockOptSize{X: vt.Col(width), Y: vt.Row(height)}), done: make(chan error, 1), stop: cancel}
	go func() {
		d.done <- Run(ctx, Config{Appliance: a, Interval: 5 * time.Millisecond, Unicode: true, Color: true}, d.term)
	}()
	t.Cleanup(cancel)
	return d
}

// screen returns the text on the terminal.
func (d *display) screen() string {
	var out strings.Builder
	size, err := d.term.WindowSize()
	if err != nil {
		d.t.Fatal(err)
	}
	for y := range size.Height {
		for x := range size.Width {
			c := d.term.GetCell(vt.Coord{X: vt.Col(x), Y: vt.Row(y)})
			if c.C == "" {
				c.C = " "
			}
			out.WriteString(c.C)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// await waits until the terminal shows all of these.
func (d *display) await(wanted ...string) {
	d.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		shown, missing := d.screen(), ""
		for _, w := range wanted {
			if !strings.Contains(shown, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("waited in vain for %q:\n%s", missing, shown)
		}
		time.Sleep(time.Millisecond) // before the next check
	}
}

func (d *display) keys(text string) { d.term.SendRaw([]byte(text)) }

// ended waits until Run has returned.
func (d *display) ended() error {
	d.t.Helper()
	select {
	case err := <-d.done:
		return err
	case <-time.After(30 * time.Second):
		d.t.Fatal("it doesn't end")
		return nil
	}
}

func TestRun(t *testing.T) {
	a := &fake{status: healthy, calls: []control.Dialog{someDialog()}}
	d := startRun(t, a, 80, 24)
	d.await("READY", "SOURCE (3)", "10.99.0.3:5555", "q quit")
	d.keys("?")
	d.await("any key back")
	d.keys("x")
	d.await("SOURCE (3)")
	d.keys("/call@example.org\r")
	d.await("1 dialog", "sip:alice@example.org")
	a.set(func(a *fake) { a.calls = nil })
	d.await("no longer in the table")
	d.keys("\x1b") // Esc
	d.await("SOURCE (3)")

	a.set(func(a *fake) { a.err = errors.New("connection refused") })
	d.await("NO ANSWER", "connection refused")
	a.set(func(a *fake) { a.err, a.status = nil, losing })
	d.await("LOSING", "ring_full")

	d.term.SetSize(vt.Coord{X: 120, Y: 40})
	d.await("account", "q quit")
	d.keys("q")
	if err := d.ended(); err != nil {
		t.Error(err)
	}
}

// TestRunEnds in each possible way, while a request is open.
func TestRunEnds(t *testing.T) {
	for name, how := range map[string]func(d *display){
		"q":       func(d *display) { d.keys("q") },
		"Ctrl-C":  func(d *display) { d.keys("\x03") },
		"context": func(d *display) { d.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			a := &fake{status: healthy}
			d := startRun(t, a, 80, 24)
			d.await("READY")
			a.set(func(a *fake) { a.stuck = true })
			how(d)
			if err := d.ended(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRunWithoutAppliance: the error comes before the terminal is touched.
func TestRunWithoutAppliance(t *testing.T) {
	d := startRun(t, &fake{status: healthy, err: errors.New("nobody there")}, 80, 24)
	if err := d.ended(); err == nil || err.Error() != "nobody there" {
		t.Error(err)
	}
	if shown := strings.TrimSpace(d.screen()); shown != "" {
		t.Errorf("it wrote %q", shown)
	}
}

func TestOnceAndStream(t *testing.T) {
	cfg := Config{Appliance: &fake{status: healthy}, Interval: time.Millisecond, Width: 100}
	var out strings.Builder
	if err := Once(t.Context(), cfg, &out); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.HasPrefix(text, "READY") || strings.Contains(text, "\x1b") || strings.Contains(text, "q quit") ||
		!strings.Contains(text, "SOURCE (3)") || strings.Count(text, "READY") != 1 {
		t.Errorf("%q", text)
	}
	// All sources are shown, however many there are.
	out.Reset()
	cfg.Appliance, cfg.Color = &fake{status: many}, true
	if err := Once(t.Context(), cfg, &out); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Count(text, ":5555") != 120 || !strings.Contains(text, "\x1b[32mREADY") {
		t.Errorf("%d sources, %q", strings.Count(text, ":5555"), text[:20])
	}

	a := &fake{status: healthy, err: errors.New("nobody there")}
	cfg.Appliance = a
	if err := Once(t.Context(), cfg, &out); err == nil {
		t.Error("no error")
	}
	a.err = nil
	ctx, cancel := context.WithCancel(t.Context())
	frames := &frameCounter{stop: cancel, after: 3}
	if err := Stream(ctx, cfg, frames); err != nil || frames.n < 3 {
		t.Errorf("%d frames, %v", frames.n, err)
	}
}

// frameCounter counts what is written, and stops the writer.
type frameCounter struct {
	n, after int
	stop     func()
}

func (f *frameCounter) Write(p []byte) (int, error) {
	if f.n++; f.n == f.after {
		f.stop()
	}
	return len(p), nil
}

// BenchmarkFrame measures what top does once a second: take a status and draw it.
func BenchmarkFrame(b *testing.B) {
	for name, of := range map[string]func(int) control.Status{"healthy": healthy, "many": many} {
		b.Run(name, func(b *testing.B) {
			m := after(Options{Unicode: true}, 300, of)
			i := 300
			b.ReportAllocs()
			for b.Loop() {
				i++
				m.Take(end(i), of(300))
				m.Frame(80, 24, end(i))
			}
		})
	}
}
