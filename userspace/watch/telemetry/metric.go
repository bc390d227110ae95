package telemetry

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// namespace begins the name of each metric of ours.
const namespace = "binrepd_"

// kind is the type of a metric.
type kind uint8

const (
	gauge kind = iota
	counter
	histogram
)

// String returns the name of the type in the exposition format.
func (k kind) String() string { return [...]string{"gauge", "counter", "histogram"}[k] }

// metric describes one family of series. Names and labels are an interface: dashboards and alerts of others rest on them.
type metric struct {
	name   string // without namespace
	kind   kind
	labels string // separated by blanks
	help   string
}

func (m *metric) desc() *prometheus.Desc {
	return prometheus.NewDesc(namespace+m.name, m.help, strings.Fields(m.labels), nil)
}

// Each metric by a number. metrics has the rest of it.
const (
	buildInfo = iota
	state
	modeInfo
	fallback
	interfaceInfo
	staleAfter

	events
	seen
	received
	receivedBytes
	rejected
	lost
	losses
	passed
	receiveBuffer
	receiveBufferUsed
	forwarded

	dialogs
	earlyDialogs
	tombstones
	dialogsLimit
	expired
	ghostsRemoved
	tombstonesRefused
	timeoutsClamped
	clockAhead
	tableRecords
	tableUsed
	tableMapped
	tableLimit
	tableFullIn

	ringRecords
	ringSize
	ringFill
	ringHighWater
	ringRefused
	ringLateWakeups
	latency
	batch

	sources
	sourceEvents
	sourceRejected
	sourceLast
	sourceSkew

	destinationState
	destinationSent
	destinationSentBytes
	destinationQueued
	destinationDropped
	destinationLost
	destinationErrors
	destinationOwn
	destinationHeld
	destinationUnmatched

	syncsRunning
	syncs
	syncDuration

	saveInterval
	saves
	saveFailures
	saveLast
	saveDuration
	saveBytes
	saveDialogs
	restoredSave
	restoredDialogs
	pinAdopted
	pinWaited
	pinUnsaved
	pinOverflowed

	recordLimit
	recorded
	recordedBytes
	recordDropped
	recordFiles
	recordFileBytes
	recordOldest
	recordErrors
	recordFailing
)

var metrics = [...]metric{
	buildInfo:     {"build_info", gauge, "version revision goversion", "1, with what runs."},
	state:         {"state", gauge, "state", "1 for the word that `binrepd status` says (READY, IDLE, STALE, LOSING), 0 for the others."},
	modeInfo:      {"mode_info", gauge, "mode", "1, with the mode in force: xdp-native, xdp-generic or socket; of several interfaces the slowest."},
	fallback:      {"fallback_active", gauge, "", "1 if the mode in force is not the best one of those that --xdp asks for, else 0; `binrepd status` says why."},
	interfaceInfo: {"interface_info", gauge, "interface mode", "1, with the mode in which an interface is served."},
	staleAfter:    {"stale_after_seconds", gauge, "", "For how long a source may be silent (--stale-after); 0 is for ever."},

	events: {"events_total", counter, "capability command outcome",
		"Well-formed packets, by what became of them. Those of other capabilities than dialog are ignored, and their command isn't looked at."},
	seen: {"datagrams_seen_total", counter, "listener",
		"Datagrams that reached the host for a listen address, lost ones among them. At rest it is the sum of events, rejected and lost ones."},
	received: {"datagrams_received_total", counter, "listener way",
		"Datagrams taken, by way in: ring (steered by XDP) or socket."},
	receivedBytes: {"received_bytes_total", counter, "listener", "Payload of the datagrams taken."},
	rejected: {"datagrams_rejected_total", counter, "listener reason",
		"Datagrams that are no well-formed packets, or came from whom --allow doesn't name (denied)."},
	lost: {"datagrams_lost_total", counter, "listener reason",
		"Datagrams lost before they were looked at: socket_buffer (full, in the kernel), truncated (too long), rate_limited (by --source-rate)."},
	losses: {"losses_total", counter, "place reason",
		"What this process lost, by place: in the kernel, at the socket, at the gate, in the table, in the queue or the sending of a destination. All but the gate (--source-rate) make the state LOSING. What a restart lost is in pin_unsaved_records and pin_overflowed_records."},
	passed: {"frames_passed_total", counter, "listener reason",
		"Frames to a listen address that XDP left to the kernel, and so to the socket. ring_full: the consumers don't keep up."},
	receiveBuffer:     {"receive_buffer_bytes", gauge, "listener", "Size of the socket's receive buffer, as the kernel granted it."},
	receiveBufferUsed: {"receive_buffer_used_bytes", gauge, "listener", "What waits in the socket's receive buffer, as the kernel charges it."},
	forwarded:         {"events_forwarded_total", counter, "command", "Events handed on to backups, one each, however many backups there are."},

	dialogs:           {"dialogs", gauge, "state", "Live dialogs: answered or confirmed."},
	earlyDialogs:      {"early_dialogs", gauge, "", "Calls being set up, which are not live yet."},
	tombstones:        {"tombstones", gauge, "", "Ended dialogs that are still remembered."},
	dialogsLimit:      {"dialogs_limit", gauge, "", "Live and early dialogs that the table takes (--max-dialogs). Absent without a limit."},
	expired:           {"expired_total", counter, "kind", "What went because its time was over: live and early dialogs whose end nobody told, and tombstones, whose ordinary end that is."},
	ghostsRemoved:     {"ghosts_removed_total", counter, "", "Dialogs ended by hand (binrepd dialogs ghosts --remove)."},
	tombstonesRefused: {"tombstones_refused_total", counter, "", "Dialogs that ended and are not remembered, for want of room."},
	timeoutsClamped:   {"timeouts_clamped_total", counter, "", "Snapshots with a timeout more than 20 years ahead, which counts as 20 years."},
	clockAhead:        {"clock_ahead_seconds", gauge, "", "How far the wall clock is ahead of the clock that expiry goes by, which follows a jump slowly."},
	tableRecords:      {"table_records_bytes", gauge, "", "Memory of the dialogs themselves."},
	tableUsed:         {"table_used_bytes", gauge, "", "Memory of the table in use for records and indexes. This is what is limited."},
	tableMapped:       {"table_mapped_bytes", gauge, "", "Memory of the table taken from the system."},
	tableLimit:        {"table_limit_bytes", gauge, "", "The most that the table may use (--max-memory). At that, new dialogs are refused."},
	tableFullIn:       {"table_full_in_seconds", gauge, "", "In how long the table is full if it grows as in the last five minutes. Absent if that isn't in sight."},

	ringRecords:     {"ring_records_total", counter, "ring", "Records read from a ring."},
	ringSize:        {"ring_size_bytes", gauge, "ring", "Size of a ring."},
	ringFill:        {"ring_fill_bytes", gauge, "ring", "What waits in a ring now."},
	ringHighWater:   {"ring_high_water_bytes", gauge, "ring", "The most that waited in a ring at any time since the start."},
	ringRefused:     {"ring_refused_records_total", counter, "ring", "Records that contradict themselves: a defect. Stays 0."},
	ringLateWakeups: {"ring_late_wakeups_total", counter, "ring", "Wake-ups that the kernel owed a consumer: a defect. Stays 0."},
	latency:         {"apply_latency_seconds", histogram, "", "From the kernel's receipt of a dialog event until it is in the table."},
	batch:           {"batch_datagrams", histogram, "", "Datagrams that a consumer took at once. Batches grow with load."},

	sources: {"sources", gauge, "", "Sources that have sent a good packet, or are known from a saved table."},
	sourceEvents: {"source_events_total", counter, "source",
		"Good packets of a source, of any capability. The first 128 sources have their own series, the rest is \"other\"."},
	sourceRejected: {"source_rejected_total", counter, "source", "Packets of a source that were refused."},
	sourceLast:     {"source_last_event_timestamp_seconds", gauge, "source", "When the last good packet of a source was received; if there was none, when live dialogs of it were restored. Absent without either."},
	sourceSkew:     {"source_clock_skew_seconds", gauge, "source", "How far a source's clock is ahead of ours, by its recent creations. Absent if there were none."},

	destinationState:     {"destination_state", gauge, "destination state", "1 for the state that a backup is in (resolving, up, refused, unreachable), 0 for the others."},
	destinationSent:      {"destination_sent_total", counter, "destination", "Events sent to a backup."},
	destinationSentBytes: {"destination_sent_bytes_total", counter, "destination", "Payload of the events sent to a backup."},
	destinationQueued:    {"destination_queued_events", gauge, "destination", "Events that wait to be sent to a backup."},
	destinationDropped:   {"destination_dropped_total", counter, "destination", "Events overwritten in the queue before they could be sent to a backup."},
	destinationLost:      {"destination_lost_total", counter, "destination", "Events that this host refused for good to send to a backup."},
	destinationErrors: {"destination_send_errors_total", counter, "destination kind",
		"Errors of sending to a backup: refused (nobody listened there), unreachable (there was no way), other. Many cost no event: what is lost is in destination_lost_total."},
	destinationOwn:       {"destination_own_total", counter, "destination", "Events that came from a backup, and so don't go back."},
	destinationHeld:      {"destination_held_total", counter, "destination reason", "Events held back from a backup, because they would harm an OpenSIPS."},
	destinationUnmatched: {"destination_unmatched_sockets_total", counter, "destination", "Events with a socket that no --rewrite-socket names, though there are some: the standby would refuse the dialog."},

	syncsRunning: {"syncs_running", gauge, "", "Syncs under way."},
	syncs:        {"syncs_total", counter, "result", "Syncs that ended: complete, or failed. Dry runs don't count."},
	syncDuration: {"sync_duration_seconds", histogram, "", "How long complete syncs took."},

	saveInterval:    {"save_interval_seconds", gauge, "", "How often the table is to be saved (--save-interval). Absent without --state-dir, as are all metrics of saves."},
	saves:           {"saves_total", counter, "", "Saves of the table that succeeded."},
	saveFailures:    {"save_failures_total", counter, "", "Saves of the table that failed."},
	saveLast:        {"last_save_timestamp_seconds", gauge, "", "When the last save that succeeded was begun. Absent before the first."},
	saveDuration:    {"last_save_duration_seconds", gauge, "", "How long the last save that succeeded took."},
	saveBytes:       {"last_save_bytes", gauge, "", "Size of the file of the last save that succeeded."},
	saveDialogs:     {"last_save_dialogs", gauge, "", "Live dialogs in the last save that succeeded."},
	restoredSave:    {"restored_save_timestamp_seconds", gauge, "", "When the table that was restored at the start had been saved. Absent if none was."},
	restoredDialogs: {"restored_dialogs", gauge, "", "Live dialogs in the table that was restored at the start."},
	pinAdopted:      {"pin_adopted", gauge, "", "1 if the rings of an earlier process were taken over at the start, else 0. Absent without --pin."},
	pinWaited:       {"pin_waited_records", gauge, "", "Records that waited in the rings taken over, and were then applied."},
	pinUnsaved:      {"pin_unsaved_records", gauge, "", "Events that the earlier process had applied, and that were not in the save restored: lost, at most so many."},
	pinOverflowed:   {"pin_overflowed_records", gauge, "", "Datagrams that had found their ring full since the save restored, and that no process has now: lost, at most so many."},

	recordLimit:   {"record_limit_bytes", gauge, "", "What all files of the recording may take (--record-size). Absent without --record, as are all metrics of recording."},
	recorded:      {"recorded_total", counter, "", "Datagrams recorded."},
	recordedBytes: {"recorded_bytes_total", counter, "", "Bytes of the datagrams recorded, with the headers that they have in the file."},
	recordDropped: {"record_dropped_total", counter, "reason",
		"Datagrams missing from the recording, not from the replica: slow_disk, disk_error, or at_stop (could not be written at the end)."},
	recordFiles:     {"record_files", gauge, "", "Files of the recording, those of earlier processes included."},
	recordFileBytes: {"record_files_bytes", gauge, "", "Size of all files of the recording."},
	recordOldest:    {"record_oldest_timestamp_seconds", gauge, "", "When the oldest file of the recording was begun. Absent without files."},
	recordErrors:    {"record_errors_total", counter, "", "Errors of the disk of the recording."},
	recordFailing:   {"record_failing", gauge, "", "1 while the recording stands still because of an error of the disk, else 0."},
}
