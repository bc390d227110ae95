package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/gdamore/tcell/v3/vt"
	"golang.org/x/sys/unix"

	"binrepd/userspace/wire/bin1/bin1test"
)

// terminal is a pseudo-terminal with a program on it, and an emulator that shows what a person would see.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	slave  *os.File
	screen vt.MockTerm
	before unix.Termios
	copied chan struct{} // closed when all output has been read

	mu  sync.Mutex
	raw bytes.Buffer
}

// onTerminal runs binrepd on a terminal of that size.
func onTerminal(t *testing.T, width, height int, environment []string, args ...string) *terminal {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	p := &terminal{
		t: t, master: master, slave: slave, cmd: program(t, args...), copied: make(chan struct{}),
		screen: vt.NewMockTerm(vt.MockOptSize{X: vt.Col(width), Y: vt.Row(height)}),
	}
	p.resize(width, height)
	p.before = p.termios()
	p.cmd.Env = append(p.cmd.Env, "TERM=xterm-256color", "LC_ALL=C.UTF-8", "NO_COLOR=", "COLUMNS=", "LINES=")
	p.cmd.Env = append(p.cmd.Env, environment...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.screen.Start(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends when the slave's last holder has closed it
		defer close(p.copied)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			p.mu.Lock()
			p.raw.Write(buf[:n])
			_, _ = p.screen.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
		slave.Close()
		<-p.copied
		master.Close()
		_ = p.screen.Stop()
	})
	return p
}

// resize makes the terminal another size, of which the program is told by SIGWINCH.
func (p *terminal) resize(width, height int) {
	p.t.Helper()
	p.mu.Lock()
	p.screen.SetSize(vt.Coord{X: vt.Col(width), Y: vt.Row(height)})
	p.mu.Unlock()
	if err := pty.Setsize(p.master, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *terminal) termios() unix.Termios {
	p.t.Helper()
	state, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *state
}

// shown is what the terminal shows.
func (p *terminal) shown() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	size, err := p.screen.WindowSize()
	if err != nil {
		p.t.Fatal(err)
	}
	rows := make([]string, size.Height)
	for y := range rows {
		for x := range size.Width {
			c := p.screen.GetCell(vt.Coord{X: vt.Col(x), Y: vt.Row(y)})
			if c.C == "" {
				c.C = " "
			}
			rows[y] += c.C
		}
	}
	return rows
}

func (p *terminal) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raw.String()
}

// await waits until the terminal shows all of these.
func (p *terminal) await(wanted ...string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		shown, missing := strings.Join(p.shown(), "\n"), ""
		for _, w := range wanted {
			if !strings.Contains(shown, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain for %q:\n%s", missing, shown)
		}
		time.Sleep(2 * time.Millisecond) // between two looks
	}
}

// fills waits until the frame reaches to the last of so many rows.
func (p *terminal) fills(height int) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		rows := p.shown()
		if len(rows) == height && strings.HasPrefix(rows[height-1], "? help") && strings.Count(strings.Join(rows, "\n"), "? help") == 1 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the keys are not in the last of %d rows:\n%s", height, strings.Join(rows, "\n"))
		}
		time.Sleep(2 * time.Millisecond) // between two looks
	}
}

func (p *terminal) keys(text string) {
	p.t.Helper()
	if _, err := p.master.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// ended waits for the end of the program, and checks that it left the terminal as it was.
func (p *terminal) ended(status int) {
	p.t.Helper()
	timeout := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer timeout.Stop()
	_ = p.cmd.Wait()
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		p.t.Errorf("exit status %d, want %d", got, status)
	}
	if p.termios() != p.before {
		p.t.Errorf("the terminal's settings are\n%+v, were\n%+v", p.termios(), p.before)
	}
	p.slave.Close()
	<-p.copied
	raw := p.output()
	for _, mode := range []struct{ on, off, what string }{
		{"\x1b[?1049h", "\x1b[?1049l", "the alternate screen"}, {"\x1b[?25l", "\x1b[?25h", "the hidden cursor"},
		{"\x1b[?7l", "\x1b[?7h", "no automatic margin"}, {"\x1b=", "\x1b>", "the keypad's mode"},
	} {
		if on, off := strings.LastIndex(raw, mode.on), strings.LastIndex(raw, mode.off); on < 0 || off < on {
			p.t.Errorf("it leaves %s behind", mode.what)
		}
	}
}

// TestTop runs top on a terminal, as a person would, against an appliance that goes away and comes back.
func TestTop(t *testing.T) {
	t.Parallel()
	listen := freePort(t)
	d := startDaemon(t, nil, "--xdp", "off", "--listen", listen)
	conn, err := net.Dial("udp4", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fill(t, d, conn, bin1test.NewProxy(8, bin1test.Realistic(nowUnix(), 1)), 500)
	source := conn.LocalAddr().String()
	callID := d.listed()[0].CallID

	p := onTerminal(t, 80, 24, nil, "top", "--interval", "100ms", "--control", d.socket)
	p.await("READY", "500 live", "SOURCE (1)", source)
	p.fills(24)
	p.keys("?")
	p.await("any key back")
	p.keys(" ")
	p.keys("/" + callID + "\r")
	p.await("Call-ID "+callID, "1 dialog", "caller tag", "from "+source)
	p.keys("\x1b")
	p.await("SOURCE (1)")
	p.resize(120, 40)
	p.await("account")
	p.fills(40)
	p.resize(80, 24)
	p.fills(24)

	d.kill()
	p.await("NO ANSWER", "data ")
	again := prepareDaemon(t, "--xdp", "off", "--listen", listen, "--control", d.socket)
	if err := again.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	again.socket, again.client = d.socket, d.client
	p.await("IDLE", "no source has been seen yet", "0 live")
	again.stop()

	p.keys("q")
	p.ended(exitDone)
	// Nothing is asked of the terminal: an answer that comes late would be read by the shell.
	for _, query := range []string{"\x1b[c", "\x1b[>q", "\x1b[18t", "\x1b[6n", "$p"} {
		if strings.Contains(p.output(), query) {
			t.Errorf("it asks the terminal %q", query)
		}
	}
}

// TestTopEnds: signals end it like q, and Ctrl-Z gives the terminal back for a while.
func TestTopEnds(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, nil, "--xdp", "off", "--listen", freePort(t))
	for name, how := range map[string]func(p *terminal){
		"SIGTERM": func(p *terminal) { _ = p.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGINT":  func(p *terminal) { _ = p.cmd.Process.Signal(syscall.SIGINT) },
		"Ctrl-C":  func(p *terminal) { p.keys("\x03") },
		"Ctrl-Z": func(p *terminal) { // nobody could wake the leader of a session, so the system doesn't stop it
			p.keys("\x1a")
			d.await("the terminal given back and taken again", func() bool { return strings.Count(p.output(), "\x1b[?1049h") == 2 })
			p.await("IDLE")
			p.keys("q")
		},
	} {
		p := onTerminal(t, 80, 24, nil, "top", "--control", d.socket)
		p.await("IDLE", "q quit")
		how(p)
		p.ended(exitDone)
		if t.Failed() {
			t.Fatalf("after %s", name)
		}
	}
	d.stop()
}

// TestTopPlain: without colour, without Unicode, and on a terminal that can't move its cursor.
func TestTopPlain(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, nil, "--xdp", "off", "--listen", freePort(t))
	color := "\x1b[33m" // IDLE
	for _, test := range []struct {
		environment string
		colored     bool
		ascii       bool
	}{{"X=", true, false}, {"NO_COLOR=1", false, false}, {"LC_ALL=C", true, true}, {"LC_ALL=de_DE.ISO-8859-1", true, true}, {"TERM=linux", true, true}} {
		p := onTerminal(t, 80, 24, []string{test.environment}, "top", "--interval", "100ms", "--control", d.socket)
		p.await("IDLE", "q quit")
		p.keys("q")
		p.ended(exitDone)
		raw := p.output()
		if strings.Contains(raw, color) != test.colored {
			t.Errorf("%s: colours: %v", test.environment, !test.colored)
		}
		if ascii := !strings.ContainsFunc(raw, func(r rune) bool { return r > '~' }); ascii != test.ascii {
			t.Errorf("%s: ASCII only: %v", test.environment, ascii)
		}
	}
	p := onTerminal(t, 80, 24, []string{"TERM=dumb"}, "top", "--interval", "100ms", "--control", d.socket)
	d.await("two frames", func() bool { return strings.Count(p.output(), "IDLE") >= 2 })
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil || strings.Contains(p.output(), "\x1b") {
		t.Errorf("%v, %q", err, p.output())
	}

	out, errs, status := command(t, nil, "top", "--once", "--interval", "100ms", "--control", d.socket)
	if status != exitDone || !strings.HasPrefix(out, "IDLE  no source has been seen yet") || strings.Contains(out, "\x1b") {
		t.Errorf("--once: status %d, %s%s", status, out, errs)
	}
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"top", "--control", d.socket}, exitUsage, "top needs a terminal: --once prints one frame"},
		{[]string{"top", "--once", "--control", d.socket + ".not"}, exitFailed, "no binrepd runs at"},
		{[]string{"top", "--once", "--interval", "1ms"}, exitUsage, "--interval 1ms: at least 100ms"},
		{[]string{"top", "--once", "now"}, exitUsage, `takes no argument "now"`},
	} {
		_, errs, status := command(t, nil, test.args...)
		if status != test.status {
			t.Errorf("%v: status %d", test.args, status)
		}
		checkError(t, strings.Join(test.args, " "), errs, test.want)
	}
	d.stop()
	// On a terminal, too, a wrong path is one line, and the screen stays as it is.
	p = onTerminal(t, 80, 24, nil, "top", "--control", d.socket)
	_ = p.cmd.Wait()
	p.slave.Close()
	<-p.copied
	if raw := p.output(); p.cmd.ProcessState.ExitCode() != exitFailed || !strings.HasPrefix(raw, "binrepd: no binrepd runs at") || strings.Contains(raw, "\x1b") {
		t.Errorf("%q", raw)
	}
}

// TestTopStoppedAppliance: top can be used and left while the appliance hangs.
func TestTopStoppedAppliance(t *testing.T) {
	d := startDaemon(t, nil, "--xdp", "off", "--listen", freePort(t))
	p := onTerminal(t, 80, 24, nil, "top", "--interval", "100ms", "--control", d.socket)
	p.await("IDLE")
	if err := d.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// Its keys work although nobody answers.
	p.keys("?")
	p.await("any key back")
	p.keys("xq")
	p.ended(exitDone)
	if err := d.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.Status(context.Background()); err != nil {
		t.Error(err)
	}
	d.stop()
}
