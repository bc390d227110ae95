package control

import "time"

// PinStatus tells what of the kernel's side outlives the process.
type PinStatus struct {
	Dir string `json:"dir"`
	// Adopted is whether an earlier process's rings were taken over; Reason why not, if there were some.
	Adopted bool   `json:"adopted"`
	Reason  string `json:"reason,omitempty"`
	// Waited is the number of records that were in those rings at the start, and were then applied.
	Waited uint64 `json:"waited"`
	// Unsaved is the number of records that the earlier process had applied after the save that was restored, at most: these are
	// lost. It is exact but for those that came while that was being saved.
	Unsaved uint64 `json:"unsaved"`
	// Overflowed is the number of datagrams that had found their ring full since that save, at most, and that no process has now: those
	// went to sockets, which don't outlive a process, or came when there were none.
	Overflowed uint64 `json:"overflowed"`
}

// StateStatus tells about the table on disk.
type StateStatus struct {
	Dir string `json:"dir"`
	// What was restored at the start: when it had been saved (zero: nothing was there), from which file, and how many dialogs were live then.
	Restored        time.Time `json:"restored"`
	RestoredFrom    string    `json:"restored_from,omitempty"`
	RestoredDialogs uint64    `json:"restored_dialogs"`
	Damaged         string    `json:"damaged,omitempty"` // why a newer file was passed over
	// The last save that succeeded.
	Saved        time.Time `json:"saved"`
	SavedDialogs uint64    `json:"saved_dialogs"`
	SavedBytes   uint64    `json:"saved_bytes"`
	SaveSeconds  float64   `json:"save_seconds"`
	Saves        uint64    `json:"saves"`
	Failures     uint64    `json:"failures"`
	Error        string    `json:"error,omitempty"` // of the last save, if it failed
}

// PrivilegeStatus tells which capabilities the process holds since the start is over, and what each is for.
type PrivilegeStatus struct {
	Kept []KeptCapability `json:"kept"`
	// NoNewPrivileges is whether it can't get any back.
	NoNewPrivileges bool `json:"no_new_privileges"`
	// Reason is why privileges could not be dropped, or empty.
	Reason string `json:"reason,omitempty"`
}

// KeptCapability is one capability.
type KeptCapability struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// RecordStatus tells about the recording of datagrams. At rest, those that the workers have seen since the start = recorded + every reason of dropped.
type RecordStatus struct {
	Dir       string            `json:"dir"`
	Limit     uint64            `json:"limit"`    // bytes of all files
	Recorded  uint64            `json:"recorded"` // datagrams
	Bytes     uint64            `json:"bytes"`    // of these, with headers
	Dropped   map[string]uint64 `json:"dropped"`
	Files     int               `json:"files"` // those of earlier processes included
	FileBytes uint64            `json:"file_bytes"`
	Oldest    time.Time         `json:"oldest"` // when the oldest was begun; zero without one
	Errors    uint64            `json:"errors"`
	Error     string            `json:"error,omitempty"` // that lasts
}
