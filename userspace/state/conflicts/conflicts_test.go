package conflicts

import (
	"fmt"
	"testing"
	"time"
)

var begin = time.Unix(1_795_000_000, 0)

func at(s float64) int64 { return begin.Add(time.Duration(s * float64(time.Second))).UnixNano() }

// TestClaims: a proof after the grace makes events of the older claimant count, for a minute. The tag going back ends it.
func TestClaims(t *testing.T) {
	b := New(false, 0)
	if c := b.Claims(); c != nil || c.Involves(1, 1) {
		t.Fatal("claims without a tag that moved")
	}
	b.Claim(begin, 1, 1, "vip", 0) // the first claim moves nothing
	if b.Claims() != nil {
		t.Fatal("the first claim counts")
	}
	b.Claim(begin, 1, 2, "vip", 1)
	for i, step := range []struct {
		node  uint32
		tag   string
		proof bool
		at    float64
		want  Verdict
	}{
		{1, "vip", true, 0.5, Clear}, // on its way when the tag moved
		{1, "vip", false, 2, Clear},  // in backup
		{2, "vip", true, 2, ByNewer},
		{3, "vip", true, 2, Clear}, // never claimed it
		{1, "other", true, 2, Clear},
		{1, "vip", true, 3, ByOlder},
		{1, "vip", false, 62, ByOlder},
		{1, "vip", false, 64, Clear},
	} {
		if v, _, _ := b.Claims().Judge(1, step.node, []byte(step.tag), step.proof, at(step.at)); v != step.want {
			t.Errorf("step %d: %d, want %d", i, v, step.want)
		}
	}
	b.Claim(begin.Add(100*time.Second), 1, 1, "vip", 2)
	if v, newer, _ := b.Claims().Judge(1, 2, []byte("vip"), true, at(102)); v != ByOlder || newer != 1 {
		t.Errorf("after the tag went back: %d, newer %d", v, newer)
	}
	if v, _, _ := b.Claims().Judge(1, 1, []byte("vip"), true, at(102)); v != ByNewer {
		t.Errorf("after the tag went back: %d", v)
	}
	if c := b.Claims(); !c.Involves(1, 1) || !c.Involves(1, 2) || c.Involves(1, 3) || c.Involves(2, 1) || c.Involves(1, 0) {
		t.Error("wrong nodes are involved")
	}
}

// TestBounds: names of tags and calls are others' choice, so memory is bounded, and what finds no room is counted.
func TestBounds(t *testing.T) {
	b := New(true, 0)
	for i := range 2 * maxTags {
		b.Claim(begin, 1, 2, fmt.Sprint("tag", i), 1)
		b.Claim(begin, 1, int32(3+i), "vip", int32(2+i))
	}
	c := b.Claims()
	if len(c.tags) > maxTags {
		t.Errorf("%d tags", len(c.tags))
	}
	for _, one := range c.tags {
		if len(one.older) > maxOlder {
			t.Errorf("%d older claimants", len(one.older))
		}
	}
	e := Event{Verdict: ByOlder, Node: 1, Newer: 2, Cluster: 1, Received: at(0), Both: true, Refused: true}
	for i := range maxDialogs + 10 {
		e.Tag = fmt.Sprint("tag", i)
		b.Note(&e, fmt.Append(nil, "call", i), nil, nil)
	}
	s, sides := b.Sums()
	if s.Events != maxDialogs+10 || s.Refused != s.Events || s.Dialogs != maxDialogs || s.Both != maxDialogs || s.More != 10 || len(sides) > maxTags+1 {
		t.Errorf("%+v, %d sides", s, len(sides))
	}
	// A day later they make room.
	e.Received = at(25 * 3600)
	b.Note(&e, []byte("new"), nil, nil)
	if s, _ := b.Sums(); s.Dialogs != 1 || s.Both != 1 || len(b.List()) != 1 || b.List()[0].CallID != "new" {
		t.Errorf("a day later: %+v", s)
	}
}
