package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/in/ring"
	"binrepd/userspace/in/thread"
)

// longestSpin is a hundred times what a wake-up costs; beyond, a consumer had better never sleep at all.
const longestSpin = time.Millisecond

// consumerFlags say how the consumers of the rings are run.
func consumerFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "cpus", Category: categoryXDP, DefaultText: "left to the kernel",
			Usage: "run the consumers of the rings on these `CPUS`, in turn: 2,3 or 4-7; best are those that receive no interrupts of the network card",
		},
		&cli.DurationFlag{
			Name: "spin", Category: categoryXDP, Value: ring.DefaultSpin, DefaultText: "10us",
			Usage: "let a consumer look for more during `DURATION` before it sleeps, up to 1ms; longer saves wake-ups and burns processor time",
		},
	}
}

// consumers is how the consumers of the rings are run.
type consumers struct {
	CPUs []int // none: the kernel chooses
	Spin time.Duration
}

func parseConsumers(c *cli.Context) (o consumers, err error) {
	if o.Spin = c.Duration("spin"); o.Spin < 0 || o.Spin > longestSpin {
		return o, fmt.Errorf("--spin %s: choose 0 to %s", o.Spin, longestSpin)
	}
	if text := c.String("cpus"); text != "" {
		if o.CPUs, err = thread.ParseCPUs(text); err != nil {
			return o, fmt.Errorf("--cpus: %w", err)
		}
	}
	return o, nil
}

// checkCPUs fails if a CPU was asked for that this process may not run on.
func checkCPUs(asked, allowed []int) error {
	for _, cpu := range asked {
		if !slices.Contains(allowed, cpu) {
			names := make([]string, len(allowed))
			for i, a := range allowed {
				names[i] = fmt.Sprint(a)
			}
			return fmt.Errorf("--cpus: this process may not run on CPU %d, only on %s", cpu, strings.Join(names, ","))
		}
	}
	return nil
}

// ringConfig is that of every ring.
func (o *consumers) ringConfig() ring.Config {
	if o.Spin == 0 {
		return ring.Config{Spin: -1}
	}
	return ring.Config{Spin: o.Spin}
}

// start returns what the consumer of a ring does first, on its thread. What the system refuses costs speed only.
func (o *consumers) start(index int, log *slog.Logger) func() {
	return func() {
		if err := thread.Prompt(); err != nil {
			log.Warn("consumer", "ring", index, "error", err)
		}
		if len(o.CPUs) == 0 {
			return
		}
		if err := thread.Pin(o.CPUs[index%len(o.CPUs)]); err != nil {
			log.Warn("consumer", "ring", index, "error", err)
		}
	}
}

// makeRoom lets the consumers run beside everything else. A consumer that returns from its sleep in the kernel needs one of the runtime's
// places for running Go code; if others have all of them, it waits for up to 10 ms.
func makeRoom(consumers int) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.NumCPU() + consumers)
	}
}
