package opensipstest

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"binrepd/dialog"
)

// Argument makes a test binary become the model, as its first argument.
const Argument = "opensips-model"

// Report is what a model that runs as a process tells of itself.
type Report struct {
	Statistics Statistics
	Faults     Faults
	Live       []dialog.Details
}

// Main runs the model as a process and returns its exit status. It writes "listening ADDRESS" to out; then each line that comes
// in is answered by a Report in one line of JSON, without the dialogs if the line is "counts", and the end of in ends it.
func Main(args []string, in io.Reader, out io.Writer) int {
	flags := flag.NewFlagSet(Argument, flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address and port")
	sockets := flags.String("sockets", "", "own sockets, separated by commas")
	perSecond := flags.Int("rate", 0, "packets handled a second; 0: all")
	buffer := flags.Int("buffer", 0, "bytes of receive buffer to ask for; 0: the system's default, as OpenSIPS")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	conn, err := net.ListenPacket("udp", *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if udp, ok := conn.(*net.UDPConn); ok && *buffer > 0 {
		if err := setReadBuffer(udp, *buffer); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	r := New(Config{Sockets: strings.Split(*sockets, ","), Started: time.Now().Unix()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, conn, *perSecond) }()
	fmt.Fprintln(out, "listening", conn.LocalAddr())
	answer := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		report := Report{Statistics: r.Statistics(), Faults: r.Faults()}
		if lines.Text() != "counts" {
			report.Live = r.Live()
		}
		if err := answer.Encode(report); err != nil {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Process is the model in a process of its own.
type Process struct {
	Address string // where it listens
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// Start starts program with args, which must make it call Main, and waits until it listens.
func Start(program string, args ...string) (*Process, error) {
	cmd := exec.Command(program, append([]string{Argument}, args...)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, in: in, out: bufio.NewReader(out)}
	line, err := p.out.ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if err != nil || !ok {
		p.Stop()
		return nil, fmt.Errorf("model: said %q: %w", line, orUnexpected(err))
	}
	p.Address = address
	return p, nil
}

func orUnexpected(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Report asks the process for its report.
func (p *Process) Report() (Report, error) { return p.ask("report") }

// Counts asks for a report without dialogs, which hardly keeps the model from its packets.
func (p *Process) Counts() (Report, error) { return p.ask("counts") }

func (p *Process) ask(what string) (r Report, err error) {
	if _, err := io.WriteString(p.in, what+"\n"); err != nil {
		return r, fmt.Errorf("ask model: %w", err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("answer of model: %w", err)
	}
	return r, json.Unmarshal(line, &r)
}

// Stop ends the process and waits for its end.
func (p *Process) Stop() error {
	p.in.Close()
	return p.cmd.Wait()
}
