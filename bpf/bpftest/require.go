package bpftest

import (
	"fmt"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// RequireEnv is the environment variable that turns skipped kernel tests into failed ones when it is "1".
const RequireEnv = "BINREPD_REQUIRE_KERNEL"

// RequireKernel skips the test unless the process may load XDP programs and make network namespaces. That needs
// CAP_NET_ADMIN and CAP_SYS_ADMIN, in practice root. With RequireEnv set to 1 it fails the test instead.
func RequireKernel(t testing.TB) {
	t.Helper()
	err := kernel()
	if err == nil {
		return
	}
	if os.Getenv(RequireEnv) == "1" {
		t.Fatalf("needs the kernel, and %s=1 forbids skipping: %v", RequireEnv, err)
	}
	t.Skipf("SKIPPED, needs the kernel: %v (run as root; %s=1 makes this a failure)", err, RequireEnv)
}

// Missing skips a test that needs something that this kernel or this privilege doesn't offer. With RequireEnv set to 1
// it fails the test instead.
func Missing(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv(RequireEnv) == "1" {
		t.Fatalf("needs %s, and %s=1 forbids skipping: %v", what, RequireEnv, err)
	}
	t.Skipf("SKIPPED, needs %s: %v (%s=1 makes this a failure)", what, err, RequireEnv)
}

func kernel() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	for _, c := range []struct {
		number int
		name   string
	}{{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}} {
		if data[0].Effective>>c.number&1 == 0 {
			return fmt.Errorf("%s missing", c.name)
		}
	}
	// Check this last, since the library caches the answer.
	if err := features.HaveProgramType(ebpf.XDP); err != nil {
		return fmt.Errorf("XDP programs: %w", err)
	}
	return nil
}
