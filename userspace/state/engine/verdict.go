package engine

import (
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// verdict is one of bin1 or, behind those, one of bin2.
type verdict uint8

const (
	isEvent  = verdict(bin1.Dialog)
	isChunks = verdict(bin1.Verdicts) + verdict(bin2.Chunks)
	verdicts = verdict(bin1.Verdicts) + verdict(bin2.Verdicts)
)

// verdictOf2 is the verdict for one of bin2.
func verdictOf2(v bin2.Verdict) verdict {
	if v == bin2.Event {
		return isEvent
	}
	return verdict(bin1.Verdicts) + verdict(v)
}

// of2 returns which of bin2 it is, if it is one.
func (v verdict) of2() (bin2.Verdict, bool) {
	return bin2.Verdict(v - verdict(bin1.Verdicts)), v >= verdict(bin1.Verdicts)
}

func (v verdict) String() string {
	if v2, ok := v.of2(); ok {
		return v2.String()
	}
	return bin1.Verdict(v).String()
}
