package bpftest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// FileSystem mounts a BPF filesystem on a folder of the test until the test ends. It returns the folder. It calls
// RequireKernel.
func FileSystem(t testing.TB) string {
	t.Helper()
	RequireKernel(t)
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatalf("mount a BPF filesystem: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}
