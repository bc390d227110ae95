package capture

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listOf returns a function that reads from a list.
func listOf(list []Datagram) func(*Datagram) error {
	return func(d *Datagram) error {
		if len(list) == 0 {
			return io.EOF
		}
		*d, list = list[0], list[1:]
		return nil
	}
}

const begin = 1_800_000_000

// at returns a datagram with this packet at this many milliseconds after the beginning.
func at(ms int64, packet []byte) Datagram {
	return Datagram{Time: time.UnixMilli(begin*1000 + ms), Source: from4, Destination: to4, Payload: packet}
}

func packetOf(kind dialog.Kind, d dialog.Details) []byte {
	if kind == dialog.Delete {
		return bin1.Append(nil, kind, d.AppendKey(nil))
	}
	return bin1.Append(nil, kind, d.AppendPacked(nil))
}

// TestHistory: the history of a call has all its packets, good or bad, in the order of time, with the changes. It has
// none of other calls, even of similar ones.
func TestHistory(t *testing.T) {
	early := dialog.Details{CallID: "call", FromTag: "f", State: dialog.Early, FromURI: "sip:a", ToURI: "sip:b", Timeout: begin + 60}
	answered := early
	answered.ToTag, answered.State, answered.Start, answered.Timeout, answered.CalleeCSeq = "t", dialog.Answered, begin, begin+3600, "1"
	confirmed := answered
	confirmed.State, confirmed.Vars = dialog.Confirmed, "n#v|"
	other, longer := answered, answered
	other.CallID, longer.CallID = "cal", "call2"
	broken := packetOf(dialog.Update, confirmed)
	broken[5] ^= 1
	short := packetOf(dialog.Update, confirmed)
	mentions := packetOf(dialog.Create, dialog.Details{CallID: "third", State: dialog.Answered, FromURI: "call"})
	strange := append([]byte("JUNK"), packetOf(dialog.Delete, answered)...)
	list, err := History(listOf([]Datagram{
		at(0, packetOf(dialog.Create, early)),
		at(1, packetOf(dialog.Create, other)), at(1, packetOf(dialog.Create, longer)), at(1, mentions), at(1, nil), at(1, []byte("P4CK")),
		at(30, packetOf(dialog.Update, confirmed)),
		at(20, packetOf(dialog.Create, answered)), // recorded later by another worker
		at(40, broken), at(41, short[:len(short)-5]), at(42, strange),
		at(45, packetOf(dialog.Update, confirmed)),
		at(50, packetOf(dialog.Delete, answered)),
	}), []byte("call"))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		ms      int64
		verdict bin1.Verdict
		kind    dialog.Kind
		changed []string
	}{
		{0, bin1.Dialog, dialog.Create, nil},
		{20, bin1.Dialog, dialog.Create, []string{"state", "timestart", "timeout", "callee_tag", "callee_cseq"}},
		{30, bin1.Dialog, dialog.Update, []string{"state", "vars"}},
		{40, bin1.BadChecksum, 0, nil}, {41, bin1.BadChecksum, 0, nil}, {42, bin1.NotBIN, 0, nil},
		{45, bin1.Dialog, dialog.Update, nil},
		{50, bin1.Dialog, dialog.Delete, nil},
	}
	if len(list) != len(want) {
		t.Fatalf("%d entries: %+v", len(list), list)
	}
	for i, w := range want {
		e := list[i]
		var changed []string
		for _, c := range e.Changes {
			changed = append(changed, c.Field)
		}
		if e.Time.UnixMilli() != begin*1000+w.ms || e.Verdict != w.verdict.String() || e.Good != (w.verdict == bin1.Dialog) || e.Kind != w.kind || len(changed) != len(w.changed) || e.First != (i == 0) {
			t.Errorf("entry %d: %+v; want %+v", i, e, w)
			continue
		}
		for j := range changed {
			if changed[j] != w.changed[j] {
				t.Errorf("entry %d: changed %v, want %v", i, changed, w.changed)
			}
		}
	}
	if d := list[7].Details; d.FromTag != "f" || d.ToTag != "t" {
		t.Errorf("deletion: %+v", d)
	}
}

// TestHistoryIsBounded forges an endless number of packets of one call.
func TestHistoryIsBounded(t *testing.T) {
	packet := packetOf(dialog.Delete, dialog.Details{CallID: "call"})
	n := 0
	list, err := History(func(d *Datagram) error {
		n++
		*d = at(int64(n), packet)
		return nil
	}, []byte("call"))
	if !errors.Is(err, ErrTooLong) || len(list) != MaxHistory {
		t.Errorf("%d entries, %v", len(list), err)
	}
	long := packetOf(dialog.Update, dialog.Details{CallID: "call", State: dialog.Confirmed, Vars: strings.Repeat("v", 60_000)})
	list, err = History(func(d *Datagram) error {
		n++
		*d = at(int64(n), long)
		return nil
	}, []byte("call"))
	if !errors.Is(err, ErrTooLong) || len(list) != maxHistoryBytes/len(long) {
		t.Errorf("%d long entries, %v", len(list), err)
	}
}

// TestSorted: datagrams up to a second out of order come out in order, those with equal times in the order of reading,
// and none is lost.
func TestSorted(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var list []Datagram
	for i := range int64(20_000) {
		d := at(i/2-random.Int64N(990), nil)
		d.Payload = []byte{byte(i), byte(i >> 8)}
		list = append(list, d)
	}
	failing := errors.New("the disk is broken")
	next := listOf(list)
	s := NewSorted(func(d *Datagram) error {
		err := next(d)
		if err != nil {
			return failing
		}
		return nil
	})
	var last Datagram
	lastNumber := -1
	for i := range list {
		var d Datagram
		if err := s.Next(&d); err != nil {
			t.Fatal(i, err)
		}
		number := int(d.Payload[0]) | int(d.Payload[1])<<8
		if d.Time.Before(last.Time) || d.Time.Equal(last.Time) && number < lastNumber {
			t.Fatalf("datagram %d: %v after %v", i, d.Time, last.Time)
		}
		last, lastNumber = d, number
	}
	if err := s.Next(&last); !errors.Is(err, failing) {
		t.Error(err)
	}
}

// TestSortedIsBounded: whatever the times are, the number of held datagrams is bounded.
func TestSortedIsBounded(t *testing.T) {
	n := 0
	s := NewSorted(func(d *Datagram) error {
		n++
		*d = at(0, nil)
		return nil
	})
	var d Datagram
	if err := s.Next(&d); err != nil || n > maxHeld {
		t.Errorf("%d read for the first, %v", n, err)
	}
	const size = 60_000
	long := make([]byte, size)
	n = 0
	s = NewSorted(func(d *Datagram) error {
		n++
		*d = at(0, long)
		return nil
	})
	for i := range 100 {
		if err := s.Next(&d); err != nil || (n-i)*size > maxHeldBytes+size || n == 0 {
			t.Fatalf("%d long ones read for %d, %v", n, i+1, err)
		}
	}
}
