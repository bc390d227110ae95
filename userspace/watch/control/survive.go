package control

import "time"

// PinStatus is the state of the rings that outlive the process.
type PinStatus struct {
	Dir string `json:"dir"`
	// Adopted is true if an earlier process's rings were taken over. Reason is why existing rings were not.
	Adopted bool   `json:"adopted"`
	Reason  string `json:"reason,omitempty"`
	// Waited is the number of records that were in those rings at the start. They were then applied.
	Waited uint64 `json:"waited"`
	// Unsaved is the maximum number of records that the earlier process had applied after the save that was restored.
	// These are lost. The number is exact, except for records that came during the save.
	Unsaved uint64 `json:"unsaved"`
	// Overflowed is the maximum number of datagrams since that save that found their ring full and that no process has
	// now. They went to sockets, which don't outlive a process, or came when there were no sockets.
	Overflowed uint64 `json:"overflowed"`
	// Discarded is the number of records that waited in rings which didn't fit and were replaced. These datagrams are lost.
	// It is null if their number can't be told.
	Discarded *uint64 `json:"discarded"`
}

// StateStatus is the state of the table on disk.
type StateStatus struct {
	Dir string `json:"dir"`
	// Restored is when the table restored at the start had been saved (zero if there was none), RestoredFrom its file,
	// and RestoredDialogs its number of live dialogs.
	Restored        time.Time `json:"restored"`
	RestoredFrom    string    `json:"restored_from,omitempty"`
	RestoredDialogs uint64    `json:"restored_dialogs"`
	Damaged         string    `json:"damaged,omitempty"` // why a newer file was skipped
	// The last successful save.
	Saved        time.Time `json:"saved"`
	SavedDialogs uint64    `json:"saved_dialogs"`
	SavedBytes   uint64    `json:"saved_bytes"`
	SaveSeconds  float64   `json:"save_seconds"`
	Saves        uint64    `json:"saves"`
	Failures     uint64    `json:"failures"`
	Error        string    `json:"error,omitempty"` // of the last save, if it failed
}

// PrivilegeStatus lists the capabilities that the process has kept after the start, and the purpose of each.
type PrivilegeStatus struct {
	Kept []KeptCapability `json:"kept"`
	// NoNewPrivileges is true if the process can't gain privileges again.
	NoNewPrivileges bool `json:"no_new_privileges"`
	// Reason is why privileges could not be dropped, or empty.
	Reason string `json:"reason,omitempty"`
}

// KeptCapability is one capability.
type KeptCapability struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// RecordStatus is the state of the recording of packets. At rest, the datagrams that the workers have seen since the start,
// and the packets that connections of clusters have brought = recorded + waiting + every reason of dropped.
type RecordStatus struct {
	Dir      string `json:"dir"`
	Limit    uint64 `json:"limit"`    // maximum bytes of all files
	Recorded uint64 `json:"recorded"` // packets
	Bytes    uint64 `json:"bytes"`    // of these, with headers
	// Waiting packets are in the recorder's buffers. While the disk fails they wait for it.
	Waiting   uint64            `json:"waiting"`
	Dropped   map[string]uint64 `json:"dropped"`
	Files     int               `json:"files"` // includes those of earlier processes
	FileBytes uint64            `json:"file_bytes"`
	Oldest    time.Time         `json:"oldest"` // when the oldest was begun; zero without one
	Errors    uint64            `json:"errors"`
	Error     string            `json:"error,omitempty"` // the current one
}
