package live

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gdamore/tcell/v3"

	"binrepd/userspace/watch/control"
)

// answer is a status, or why there is none.
type answer struct {
	at     time.Time
	status control.Status
	err    error
}

// found is the answer to a request for a Call-ID.
type found struct {
	at      time.Time
	callID  string
	dialogs []control.Dialog
	err     error
}

// Run shows the view on a terminal until the user quits, ctx ends, or the terminal fails. Then it restores the
// terminal. A nil terminal means the controlling terminal of the process. All its goroutines have ended when it
// returns.
func Run(ctx context.Context, c Config, terminal tcell.Tty) error {
	// Get the first answer before touching the terminal. So a wrong path gives just an error message.
	first, err := status(ctx, c.Appliance)
	if ctx.Err() != nil {
		return nil
	} else if err != nil {
		return err
	}
	if terminal == nil {
		if terminal, err = tcell.NewDevTty(); err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
	}
	// Ask the terminal nothing: the shell would read the late answers of a slow terminal.
	options := []tcell.TerminfoScreenOption{tcell.OptNegotiation(false), tcell.OptSanitizeContent(true)}
	if !c.Color {
		options = append(options, tcell.OptColors(0))
	}
	screen, err := tcell.NewTerminfoScreenFromTty(terminal, options...)
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	if err := screen.Init(); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	v := &viewer{
		config: c, screen: screen, model: New(Options{Unicode: c.Unicode}),
		answers: make(chan answer), found: make(chan found),
	}
	v.model.Take(time.Now(), first)
	ctx, cancel := context.WithCancel(ctx)
	defer v.asking.Wait()
	defer cancel()
	defer screen.Fini() // runs first, even in a panic
	return v.run(ctx)
}

// viewer runs a model on a screen.
type viewer struct {
	config Config
	screen tcell.Screen
	model  *Model

	// Each request has a goroutine, which ends with the answer or with the context. There is at most one request of
	// each kind at a time.
	asking      sync.WaitGroup
	answers     chan answer
	found       chan found
	statusAsked bool
	callAsked   bool
}

func (v *viewer) run(ctx context.Context) error {
	v.draw(false)
	tick := time.NewTicker(v.config.Interval)
	defer tick.Stop()
	// The age of outdated data is shown and changes.
	clock := time.NewTicker(time.Second)
	defer clock.Stop()
	for {
		whole := false
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			v.askStatus(ctx)
			v.askCall(ctx)
			continue
		case <-clock.C:
			if v.model.err == nil {
				continue
			}
		case a := <-v.answers:
			v.statusAsked = false
			if a.err != nil {
				v.model.Fail(a.at, a.err)
			} else {
				v.model.Take(a.at, a.status)
			}
		case f := <-v.found:
			v.callAsked = false
			v.model.Found(f.at, f.callID, f.dialogs, f.err)
			if f.callID != v.model.CallID() {
				v.askCall(ctx) // another one was requested in the meantime
			}
		case e := <-v.screen.EventQ():
			switch e := e.(type) {
			case *tcell.EventError:
				return fmt.Errorf("terminal: %w", e)
			case *tcell.EventResize:
				whole = true
			case *tcell.EventKey:
				switch v.model.Press(keyName(e)) {
				case Quit:
					return nil
				case LookUp:
					v.askCall(ctx)
				case Repaint:
					whole = true
				case Suspend:
					if err := v.suspend(); err != nil {
						return fmt.Errorf("terminal: %w", err)
					}
					whole = true
				}
			}
		}
		v.draw(whole)
	}
}

// askStatus requests the status, unless an earlier request is still open.
func (v *viewer) askStatus(ctx context.Context) {
	if v.statusAsked {
		return
	}
	v.statusAsked = true
	v.asking.Go(func() {
		s, err := status(ctx, v.config.Appliance)
		select {
		case v.answers <- answer{time.Now(), s, err}:
		case <-ctx.Done():
		}
	})
}

// askCall does the same for the dialogs of the Call-ID that is shown.
func (v *viewer) askCall(ctx context.Context) {
	id := v.model.CallID()
	if v.callAsked || id == "" {
		return
	}
	v.callAsked = true
	v.asking.Go(func() {
		list, err := dialogs(ctx, v.config.Appliance, id)
		select {
		case v.found <- found{time.Now(), id, list, err}:
		case <-ctx.Done():
		}
	})
}

// draw copies the frame to the screen, completely or only what has changed.
func (v *viewer) draw(whole bool) {
	width, height := v.screen.Size()
	f := v.model.Frame(width, height, time.Now())
	for y := range f.Height {
		for x := range f.Width {
			c := f.At(x, y)
			v.screen.SetContent(x, y, c.Rune, nil, look(c.Style, v.config.Color))
		}
	}
	v.screen.ShowCursor(f.CursorX, f.CursorY) // negative: hidden
	if whole {
		v.screen.Sync()
	} else {
		v.screen.Show()
	}
}

// look returns the terminal's style for a Style. Without colours, important text is bold or reversed.
func look(s Style, color bool) tcell.Style {
	plain := tcell.StyleDefault
	if color {
		switch s {
		case Good:
			return plain.Foreground(tcell.PaletteColor(2))
		case Warning:
			return plain.Foreground(tcell.PaletteColor(3))
		case Bad:
			return plain.Foreground(tcell.PaletteColor(1)).Bold(true)
		case Alarm:
			return plain.Foreground(tcell.PaletteColor(7)).Background(tcell.PaletteColor(1)).Bold(true)
		case Line:
			return plain.Foreground(tcell.PaletteColor(6))
		}
	}
	switch s {
	case Faint:
		return plain.Dim(true)
	case Strong, Good, Bad:
		return plain.Bold(true)
	case Alarm, Focused:
		return plain.Bold(true).Reverse(true)
	case Heading:
		return plain.Dim(true).Reverse(true)
	}
	return plain
}

// keyName returns the name of a key for Press, or "" for an unknown key.
func keyName(e *tcell.EventKey) string {
	switch e.Key() {
	case tcell.KeyRune:
		if e.Modifiers()&(tcell.ModAlt|tcell.ModCtrl|tcell.ModMeta) == 0 {
			return e.Str()
		}
	case tcell.KeyUp:
		return KeyUp
	case tcell.KeyDown:
		return KeyDown
	case tcell.KeyPgUp:
		return KeyPageUp
	case tcell.KeyPgDn:
		return KeyPageDown
	case tcell.KeyHome:
		return KeyHome
	case tcell.KeyEnd:
		return KeyEnd
	case tcell.KeyTab:
		return KeyTab
	case tcell.KeyBacktab:
		return KeyBackTab
	case tcell.KeyEnter, tcell.KeyCtrlJ:
		return KeyEnter
	case tcell.KeyEscape:
		return KeyEscape
	case tcell.KeyBackspace, tcell.KeyDelete:
		return KeyBackspace
	case tcell.KeyCtrlC:
		return KeyCtrlC
	case tcell.KeyCtrlL:
		return KeyCtrlL
	case tcell.KeyCtrlU:
		return KeyCtrlU
	case tcell.KeyCtrlZ:
		return KeyCtrlZ
	}
	return ""
}
