package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

const (
	calls   = 200  // in progress at a time
	packets = 3000 // sent in all
	burst   = 50   // sent at once, so that the smallest default socket buffer holds them
)

// patience bounds each wait. On a normal machine none takes a second.
const patience = 20 * time.Second

func main() {
	program := flag.String("binrepd", "./binrepd", "the program to show")
	stay := flag.Bool("keep", false, "leave the appliance running, with its page, until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, *program, *stay); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, program string, stay bool) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "binrepd-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	// Before the namespaces: its connections are made by threads of any kind.
	if err := showCluster(ctx, program, dir); err != nil {
		return err
	}

	p, err := newPlace(stay)
	if err != nil {
		return err
	}
	defer p.close()
	say("Generation 1, as OpenSIPS 1.10 to 2.1 have it. %s", p.story)

	// Not the default, /run/binrepd/control.sock, because a real appliance on this host may use that.
	socket := filepath.Join(dir, "control.sock")
	if err := os.Setenv("BINREPD_CONTROL", socket); err != nil {
		return err
	}
	appliance, err := start(ctx, program, append(p.flags, "--listen", p.listen.String()))
	if err != nil {
		return err
	}
	defer appliance.Process.Kill() // does nothing after a clean shutdown
	client := control.NewClient(socket)
	if err := await(ctx, "the appliance to answer", func() bool {
		_, err := client.Status(ctx)
		return err == nil
	}); err != nil {
		return err
	}

	say("The proxy announces calls: %d packets.", packets)
	proxy := bin1test.NewProxy(uint64(time.Now().UnixNano()), bin1test.Realistic(time.Now().Unix(), calls))
	if err := play(ctx, p.proxy, p.listen, proxy, client); err != nil {
		return err
	}

	for _, args := range [][]string{
		{"status"},
		{"dialogs", "list", "--limit", "5"},
		{"dialogs", "count"},
	} {
		if err := show(ctx, program, args); err != nil {
			return err
		}
	}
	if err := check(ctx, client, proxy); err != nil {
		return err
	}

	if stay {
		if err := keep(ctx, p, proxy, socket, program); err != nil {
			return err
		}
	}

	say("Stop it: it processes what is still waiting and prints the final account.")
	if ctx.Err() == nil { // else it has been told already, and a second signal would end it at once
		if err := appliance.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
	}
	if err := appliance.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("binrepd run: %w", err)
	}
	say("Done; nothing is left behind.")
	return nil
}

// play sends the packets, and waits after each burst until the appliance has seen it.
func play(ctx context.Context, from *net.UDPConn, to *net.UDPAddr, proxy *bin1test.Proxy, client *control.Client) error {
	var packet []byte
	for sent := 0; sent < packets; {
		for range burst {
			packet = proxy.Next(packet[:0])
			if _, err := from.WriteToUDP(packet, to); err != nil {
				return fmt.Errorf("send: %w", err)
			}
			sent++
		}
		if err := await(ctx, "the packets to arrive", func() bool {
			s, err := client.Status(ctx)
			return err == nil && s.Seen == uint64(sent) && s.Sum() == s.Seen
		}); err != nil {
			return err
		}
	}
	return nil
}

// check compares the state of the appliance with that of the proxy.
func check(ctx context.Context, client *control.Client, proxy *bin1test.Proxy) error {
	s, err := client.Status(ctx)
	if err != nil {
		return err
	}
	if want := uint64(proxy.LiveCount()); s.Dialogs != want {
		return fmt.Errorf("the proxy has %d calls in progress, the appliance %d", want, s.Dialogs)
	}
	say("The proxy has %d calls in progress, and so has the appliance. All of %d datagrams are accounted for.", s.Dialogs, s.Seen)
	return nil
}

func start(ctx context.Context, program string, args []string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, program, append([]string{"run"}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demo, which then stops the appliance
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	fmt.Printf("$ binrepd %s &\n", strings.Join(cmd.Args[1:], " "))
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: build it with `make build`", err)
	}
	return cmd, nil
}

// show runs a command and prints the command line and its output.
func show(ctx context.Context, program string, args []string) error {
	fmt.Printf("\n$ binrepd %s\n", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("binrepd %s: %w", args[0], err)
	}
	return nil
}

// await repeats done until it returns true.
func await(ctx context.Context, what string, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("waited %s for %s in vain", patience, what)
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

func say(format string, args ...any) { fmt.Printf("\n# "+format+"\n", args...) }
