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

func TestProbeHost(t *testing.T) {
	bpftest.RequireKernel(t)
	r := bpf.ProbeHost()
	if r.Kernel == "" || r.Kernel == "unknown" || r.Load != nil || len(r.Missing) != 0 || len(r.Held) == 0 {
		t.Errorf("%+v", r)
	}
	bpftest.WithCapabilities(t, func() {
		if r := bpf.ProbeHost(); !errors.Is(r.Load, fs.ErrPermission) || len(r.Missing) != 2 || len(r.Held) != 1 {
			t.Errorf("without privilege: %+v", r)
		}
	}, unix.CAP_NET_ADMIN)
}

func TestProbeInterface(t *testing.T) {
	_, receiver := pair(t, 1500)
	probe := func(name string) (r bpf.InterfaceReport) {
		t.Helper()
		receiver.Do(func() (err error) {
			r, err = bpf.ProbeInterface(name)
			return err
		})
		if id, _ := programOn(receiver, name); id != 0 && r.Foreign == nil {
			t.Errorf("program %d was left on %s", id, name)
		}
		return r
	}
	if r := probe("in0"); r.Native != nil || r.Generic != nil || r.Foreign != nil || r.Mode() != bpf.Native ||
		r.Driver != "veth" || r.RXQueues < 1 || r.MTU != 1500 || !r.Up || r.Index != receiver.Index("in0") {
		t.Errorf("veth: %+v", r)
	}
	if r := probe("lo"); !errors.Is(r.Native, errors.ErrUnsupported) || r.Generic != nil || r.Mode() != bpf.Generic || r.Driver != "loopback" {
		t.Errorf("lo: %+v", r)
	}
	id, _ := foreignProgram(t, receiver, "in0", link.XDPDriverMode)
	if r := probe("in0"); r.Foreign == nil || r.Foreign.ID != id || r.Foreign.Name != "somebody_elses" || r.Mode() != bpf.Auto || r.Native == nil || r.Generic == nil {
		t.Errorf("beside a foreign program: %+v", r)
	}
	if err := receiver.Try(func() error { _, err := bpf.ProbeInterface("none0"); return err }); err == nil {
		t.Error("an interface that isn't there was probed")
	}
}
