package appliance

import (
	"runtime"
	"strings"
	"testing"
)

func TestCheckCPUs(t *testing.T) {
	if err := checkCPUs(nil, []int{0}); err != nil {
		t.Error(err)
	}
	if err := checkCPUs([]int{3, 1}, []int{0, 1, 3}); err != nil {
		t.Error(err)
	}
	if err := checkCPUs([]int{1, 2}, []int{0, 1, 3}); err == nil || !strings.Contains(err.Error(), "CPU 2, only on 0,1,3") {
		t.Error(err)
	}
}

func TestMakeRoom(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	t.Setenv("GOMAXPROCS", "")
	makeRoom(3)
	if got, want := runtime.GOMAXPROCS(0), runtime.NumCPU()+3; got != want {
		t.Errorf("%d, want %d", got, want)
	}
	// The environment wins.
	runtime.GOMAXPROCS(1)
	t.Setenv("GOMAXPROCS", "1")
	makeRoom(3)
	if got := runtime.GOMAXPROCS(0); got != 1 {
		t.Errorf("%d in spite of the environment", got)
	}
}
