package store

func adviseHuge([]byte) {}
func populate([]byte)   {}
