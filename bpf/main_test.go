package bpf_test

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"go.uber.org/goleak"

	"binrepd/bpf"
)

// childEnv names an interface. If it is set, the test binary is a child process: it attaches the program there and
// waits to be killed.
const childEnv = "BINREPD_TEST_ATTACH"

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		if err := attachForever(name); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

func attachForever(name string) error {
	p, err := bpf.Load(bpf.Config{Rings: 1, RingSize: 1 << 20, Listeners: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:5556")}})
	if err != nil {
		return err
	}
	f, err := bpf.Follow(p, bpf.FollowConfig{Interfaces: []string{name}})
	if err != nil {
		return err
	}
	if s := f.States()[0]; !s.Attached() {
		return s.Err
	}
	fmt.Println("attached")
	select {}
}
