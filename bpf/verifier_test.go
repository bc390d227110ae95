package bpf

import (
	"net/netip"
	"regexp"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"

	"binrepd/bpf/bpftest"
)

// TestVerifierBudget keeps the program far below the verifier's limit of a million instructions. Verifiers of other
// kernels need more of them for the same program.
func TestVerifierBudget(t *testing.T) {
	bpftest.RequireKernel(t)
	const budget = 250_000
	cfg := Config{Listeners: addrPorts("0.0.0.0:1", "[::]:1")}
	for i := range MaxListeners - 2 {
		cfg.Listeners = append(cfg.Listeners, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(1+i)))
	}
	cfg, err := cfg.complete()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := loadBinrepd()
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.set(spec); err != nil {
		t.Fatal(err)
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats}})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer c.Close()
	log := c.Programs["binrepd"].VerifierLog
	match := regexp.MustCompile(`processed (\d+) insns`).FindStringSubmatch(log)
	if match == nil {
		t.Fatalf("the verifier doesn't say how much it did:\n%s", log)
	}
	if n, err := strconv.Atoi(match[1]); err != nil || n > budget {
		t.Errorf("the verifier processed %s instructions, the budget is %d", match[1], budget)
	}
	t.Logf("%s instructions", match[1])
}
