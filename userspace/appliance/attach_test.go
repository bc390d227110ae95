package appliance

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"binrepd/bpf"
	"binrepd/userspace/watch/control"
)

// TestAttachments shows mode, link and reasons of each interface.
func TestAttachments(t *testing.T) {
	up := bpf.InterfaceState{Name: "eth0", Index: 2, Up: true, Carrier: true, Mode: bpf.Native}
	for _, c := range []struct {
		name               string
		change             func(*bpf.InterfaceState)
		trouble            error
		mode, link, reason string
	}{
		{"sound", func(*bpf.InterfaceState) {}, nil, control.ModeNative, control.LinkUp, ""},
		{"no carrier", func(s *bpf.InterfaceState) { s.Carrier = false }, nil, control.ModeNative, control.LinkNoCarrier, ""},
		{"down", func(s *bpf.InterfaceState) { s.Up, s.Carrier = false, false }, nil, control.ModeNative, control.LinkDown, ""},
		{"absent", func(s *bpf.InterfaceState) {
			*s = bpf.InterfaceState{Name: "eth0", Err: errors.New("no such interface")}
		}, nil, control.ModeSocket, control.LinkMissing, "no such interface"},
		{"generic", func(s *bpf.InterfaceState) { s.Mode, s.Err = bpf.Generic, errors.New("no native") }, errors.New("too many open files"),
			control.ModeGeneric, control.LinkUp, "no native; changes go unnoticed now: too many open files"},
		{"trouble", func(*bpf.InterfaceState) {}, errors.New("too many open files"), control.ModeNative, control.LinkUp, "changes go unnoticed now: too many open files"},
	} {
		state := up
		c.change(&state)
		var s inputStatus
		s.attachments([]bpf.InterfaceState{state}, c.trouble)
		if got := s.interfaces[0]; !reflect.DeepEqual(got, control.InterfaceStatus{Name: "eth0", Mode: c.mode, Reason: c.reason, Link: c.link}) || s.mode != c.mode {
			t.Errorf("%s: %+v, mode %s", c.name, got, s.mode)
		}
	}
	var none inputStatus
	if none.attachments(nil, nil); none.mode != control.ModeSocket || none.reason == "" {
		t.Errorf("without interfaces: %+v", none)
	}
}

// TestHints names the interface if a listener gets everything by its socket although XDP is attached.
func TestHints(t *testing.T) {
	for _, c := range []struct {
		name      string
		mode      string
		change    func(*control.ListenerStatus)
		entrances []string
		want      string
	}{
		{"by the socket", control.ModeNative, func(*control.ListenerStatus) {}, []string{"eth1"}, "give --interface eth1"},
		{"nobody knows", control.ModeNative, func(*control.ListenerStatus) {}, []string{"eth0"}, "give the interface by which they come in"},
		{"nowhere", control.ModeNative, func(*control.ListenerStatus) {}, nil, "no Ethernet interface has the address"},
		{"through XDP", control.ModeNative, func(l *control.ListenerStatus) { l.Steered = 1 }, []string{"eth1"}, ""},
		{"passed by XDP", control.ModeNative, func(l *control.ListenerStatus) { l.Passed = map[string]uint64{"fragment": 9} }, []string{"eth1"}, ""},
		{"too early", control.ModeNative, func(l *control.ListenerStatus) { l.Socket = 3 }, []string{"eth1"}, ""},
		{"not attached", control.ModeSocket, func(*control.ListenerStatus) {}, []string{"eth1"}, ""},
	} {
		s := inputStatus{interfaces: []control.InterfaceStatus{{Name: "eth0", Mode: c.mode}}, listeners: []control.ListenerStatus{{Socket: 100}}}
		c.change(&s.listeners[0])
		s.hints([][]string{c.entrances})
		if hint := s.listeners[0].Hint; c.want == "" && hint != "" || !strings.Contains(hint, c.want) {
			t.Errorf("%s: %q, want %q", c.name, hint, c.want)
		}
	}
}
