package bridge

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Rule says which calls pass.
type Rule struct {
	From, To int32
	Tag      string // only calls with this sharing tag; empty: all
}

// ParseRule reads FROM:TO or FROM:TO:TAG.
func ParseRule(text string) (r Rule, err error) {
	from, rest, ok := strings.Cut(text, ":")
	to, tag, tagged := strings.Cut(rest, ":")
	if !ok || tagged && tag == "" {
		return r, errors.New("not FROM:TO or FROM:TO:TAG with two ids of clusters, such as 1:2 or 1:2:vip")
	}
	for _, side := range []struct {
		text string
		id   *int32
	}{{from, &r.From}, {to, &r.To}} {
		n, err := strconv.ParseInt(side.text, 10, 32)
		if err != nil || n < 1 {
			return r, fmt.Errorf("%q is no id of a cluster", side.text)
		}
		*side.id = int32(n)
	}
	if r.From == r.To {
		return r, errors.New("a bridge needs two clusters")
	}
	r.Tag = tag
	return r, nil
}

// String returns the rule as ParseRule reads it.
func (r Rule) String() string {
	if r.Tag == "" {
		return fmt.Sprintf("%d:%d", r.From, r.To)
	}
	return fmt.Sprintf("%d:%d:%s", r.From, r.To, r.Tag)
}

// prefix of the capability of a bridge.
const prefix = "binrepd-bridge-"

// Announced returns the name of the capability that a bridge announces in the cluster To.
func (r Rule) Announced() string { return fmt.Sprintf("%s%d-%d", prefix, r.From, r.To) }

// Source returns from which cluster a node with that capability passes calls into cluster to.
func Source(capability string, to int32) (from int32, ok bool) {
	rest, ok := strings.CutPrefix(capability, prefix)
	if !ok {
		return 0, false
	}
	a, b, ok := strings.Cut(rest, "-")
	n, err := strconv.ParseInt(a, 10, 32)
	return int32(n), ok && err == nil && n > 0 && b == strconv.Itoa(int(to))
}
