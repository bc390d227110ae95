package bpf_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
)

// TestTry attaches to interfaces with and without native XDP, and finds programs that are there already.
func TestTry(t *testing.T) {
	_, receiver := pair(t, 1500)
	try := func(name string) (trial bpf.Trial) {
		t.Helper()
		index := receiver.Index(name)
		receiver.Do(func() error {
			trial = bpf.Try([]int{index})[0]
			return nil
		})
		if id, _ := programOn(receiver, name); id != 0 && trial.Foreign == nil && !trial.Own {
			t.Errorf("program %d was left on %s", id, name)
		}
		return trial
	}
	if r := try("in0"); r.Native != nil || r.Generic != nil || r.Foreign != nil || r.Own {
		t.Errorf("veth: %+v", r)
	}
	if r := try("lo"); !errors.Is(r.Native, errors.ErrUnsupported) || r.Generic != nil || r.Foreign != nil || r.Own {
		t.Errorf("lo: %+v", r)
	}
	id, remove := foreignProgram(t, receiver, "in0", link.XDPDriverMode)
	if r := try("in0"); r.Foreign == nil || r.Foreign.ID != id || r.Foreign.Name != "somebody_elses" || r.Own || r.Native == nil {
		t.Errorf("beside a foreign program: %+v", r)
	}
	if err := remove.Close(); err != nil {
		t.Fatal(err)
	}
	program, err := bpf.Load(bpf.Config{Rings: 1, RingSize: bpf.LeastRingSize()})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	index := receiver.Index("in0")
	receiver.Do(func() error {
		a, err := program.Attach(index, bpf.Generic)
		if err == nil {
			t.Cleanup(func() { a.Close() })
		}
		return err
	})
	if r := try("in0"); !r.Own || r.Foreign != nil {
		t.Errorf("where binrepd runs: %+v", r)
	}
}

func TestTryWithoutPrivilege(t *testing.T) {
	bpftest.RequireKernel(t)
	bpftest.WithCapabilities(t, func() {
		r := bpf.Try([]int{1, 2})
		if len(r) != 2 || !errors.Is(r[0].Native, fs.ErrPermission) || !errors.Is(r[1].Generic, fs.ErrPermission) {
			t.Errorf("%+v", r)
		}
	}, unix.CAP_NET_ADMIN)
}
