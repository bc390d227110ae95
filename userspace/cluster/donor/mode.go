package donor

import (
	"fmt"
	"slices"
)

// Mode is the operator's choice.
type Mode uint8

const (
	// Auto announces complete dialogs only while the table is known to be complete.
	Auto Mode = iota
	// Never announces nothing and answers nobody.
	Never
	// Seed takes the table for the truth once it was filled, whatever was missed.
	Seed
)

var modeNames = [...]string{Auto: "auto", Never: "never", Seed: "seed"}

// String returns the name of the mode, as ParseMode reads it.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "invalid"
}

// ParseMode reads the name of a mode.
func ParseMode(name string) (Mode, error) {
	if i := slices.Index(modeNames[:], name); i >= 0 {
		return Mode(i), nil
	}
	return Auto, fmt.Errorf("%q is none of auto, never, seed", name)
}
