//go:build unix && !linux

package dialog

func adviseHuge([]byte) {}
func populate([]byte)   {}
