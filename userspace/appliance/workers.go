package appliance

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"binrepd/userspace/in/ring"
	"binrepd/userspace/in/thread"
)

// checkCPUs fails if this process may not run on a CPU of asked.
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

// ringConfig returns the configuration of every ring.
func (c *Config) ringConfig() ring.Config {
	cfg := ring.Config{Spin: c.Spin, Coalesce: c.Coalesce}
	if c.Spin == 0 {
		cfg.Spin = -1
	}
	return cfg
}

// startWorker returns what the worker of a ring does first, on its thread. A refusal of the system costs speed only.
func (c *Config) startWorker(index int) func() {
	return func() {
		if err := thread.Prompt(); err != nil {
			c.Log.Warn("worker", "ring", index, "error", err)
		}
		if len(c.CPUs) == 0 {
			return
		}
		if err := thread.Pin(c.CPUs[index%len(c.CPUs)]); err != nil {
			c.Log.Warn("worker", "ring", index, "error", err)
		}
	}
}

// makeRoom lets the workers of the rings run beside everything else. A worker that returns from its sleep in the kernel
// needs one of the places that the Go runtime has for running Go code (GOMAXPROCS). If other goroutines use all of them,
// the worker waits for up to 10 ms. A GOMAXPROCS in the environment stays in force.
func makeRoom(workers int) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.NumCPU() + workers)
	}
}
