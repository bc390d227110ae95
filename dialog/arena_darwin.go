package dialog

func adviseHuge([]byte) {}
func populate([]byte)   {}
