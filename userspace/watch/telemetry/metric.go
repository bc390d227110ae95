package telemetry

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// namespace is the prefix of all metric names.
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

// metric describes one family of series. Names and labels are an interface: dashboards and alerts depend on them.
type metric struct {
	name   string // without namespace
	kind   kind
	labels string // separated by blanks
	help   string
}

func (m *metric) desc() *prometheus.Desc {
	return prometheus.NewDesc(namespace+m.name, m.help, strings.Fields(m.labels), nil)
}

// The numbers of the metrics. metrics has the rest.
const (
	buildInfo = iota
	state
	problem
	modeInfo
	fallback
	interfaceInfo
	interfaceUp
	interfaceLost
	interfaceDropped
	interfaceMissed
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
	sourceRestarts
	sourceLast
	sourceSkew

	destinationState
	destinationNeedsSync
	destinationPaused
	destinationSent
	destinationSentBytes
	destinationQueued
	destinationDropped
	destinationLost
	destinationErrors
	destinationOwn
	destinationHeld
	destinationUnmatched
	destinationConverted
	destinationConversionLost
	clusterFed
	clusterFedHeld
	clusterFedLost
	clusterFedConversionLost

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
	pinDiscarded

	logLinesLost

	recordLimit
	recorded
	recordedBytes
	recordWaiting
	recordDropped
	recordFiles
	recordFileBytes
	recordOldest
	recordErrors
	recordFailing

	clusterIncomplete
	clusterNodeUp
	clusterNodeState
	clusterSyncs
	clusterSyncLast
	clusterGaps
	clusterRestarts
	clusterConflicts
	clusterDisputed
	clusterBridge

	auditDialogs
	auditLast
)

var metrics = [...]metric{
	buildInfo:        {"build_info", gauge, "version revision goversion", "1, with the version of the program."},
	state:            {"state", gauge, "state", "1 for the word that `binrepd status` prints (READY, IDLE, STALE, INCOMPLETE, LOSING), 0 for the others."},
	problem:          {"problem", gauge, "code", "Number of problems of this kind that `binrepd status` shows after \"but\". docs/operations.md lists the codes."},
	modeInfo:         {"mode_info", gauge, "mode", "1, with the mode in force: xdp-native, xdp-generic or socket; with several interfaces the slowest."},
	fallback:         {"fallback_active", gauge, "", "1 if the mode in force is not the best one that --xdp allows, else 0; `binrepd status` shows the reason."},
	interfaceInfo:    {"interface_info", gauge, "interface mode", "1, with the mode of an interface."},
	interfaceUp:      {"interface_up", gauge, "interface", "1 if the interface is up and has a carrier, else 0."},
	interfaceLost:    {"interface_lost_total", counter, "interface", "Frames that the interface, its queues or the kernel's backlog lost in front of XDP and the sockets. Parts of it are in interface_dropped_total and interface_missed_total."},
	interfaceDropped: {"interface_dropped_total", counter, "interface", "rx_dropped of the interface since the start of the process. A few a second are no loss: frames whose protocol nothing handles count here."},
	interfaceMissed:  {"interface_missed_total", counter, "interface", "rx_missed_errors, rx_fifo_errors and rx_over_errors of the interface since the start of the process."},
	staleAfter:       {"stale_after_seconds", gauge, "", "How long a source may be silent (--stale-after); 0 means for ever."},

	events: {"events_total", counter, "capability command outcome",
		"Well-formed packets, by command (create, update, delete, and of generation 2 value and cseq) and outcome. Packets of other capabilities than dialog are ignored; their command is not read."},
	seen: {"datagrams_seen_total", counter, "listener",
		"Datagrams that reached the host for a listen address, or packets of modules that came from a cluster (\"cluster 1\"), including lost ones. At rest it is the sum of events, rejected and lost ones."},
	received: {"datagrams_received_total", counter, "listener way",
		"Datagrams received, by way: ring (steered by XDP) or socket."},
	receivedBytes: {"received_bytes_total", counter, "listener", "Payload bytes of the datagrams received."},
	rejected: {"datagrams_rejected_total", counter, "listener reason",
		"Datagrams that are not well-formed packets, or that come from a source that --allow doesn't list (denied), or from no node of the cluster (not_member)."},
	lost: {"datagrams_lost_total", counter, "listener reason",
		"Datagrams lost before they were processed: socket_buffer (full, in the kernel), truncated (too long), rate_limited (by --source-rate), queue_full (of the connections of a cluster)."},
	losses: {"losses_total", counter, "place reason",
		"What was lost, by place: interface, kernel, socket, stream (connections of clusters), cluster (what its nodes sent in a layout that can't be read), gate, table, and the queue or the sending of a destination. All but the gate (--source-rate) make the state LOSING. Losses of a restart are in pin_unsaved_records and pin_overflowed_records."},
	passed: {"frames_passed_total", counter, "listener reason",
		"Frames to a listen address that XDP left to the kernel, which gives them to the socket. ring_full: the consumers are too slow."},
	receiveBuffer:     {"receive_buffer_bytes", gauge, "listener", "Size of the socket's receive buffer, as granted by the kernel."},
	receiveBufferUsed: {"receive_buffer_used_bytes", gauge, "listener", "Bytes in use in the socket's receive buffer, by the kernel's accounting."},
	forwarded:         {"events_forwarded_total", counter, "command", "Events passed on to backups. Each counts once, however many backups there are."},

	dialogs:           {"dialogs", gauge, "state", "Live dialogs: answered or confirmed."},
	earlyDialogs:      {"early_dialogs", gauge, "", "Calls that are being set up and are not live yet."},
	tombstones:        {"tombstones", gauge, "", "Ended dialogs that are still remembered."},
	dialogsLimit:      {"dialogs_limit", gauge, "", "Maximum number of live and early dialogs in the table (--max-dialogs). Absent without a limit."},
	expired:           {"expired_total", counter, "kind", "Entries removed because their time was over: live and early dialogs whose end was never received, and tombstones, for which this is normal."},
	ghostsRemoved:     {"ghosts_removed_total", counter, "", "Dialogs ended by an operator (binrepd dialogs ghosts --remove), or because their cluster node had dropped them."},
	tombstonesRefused: {"tombstones_refused_total", counter, "", "Ended dialogs that are not remembered because there was no room."},
	timeoutsClamped:   {"timeouts_clamped_total", counter, "", "Snapshots with a timeout more than 20 years ahead, which counts as 20 years."},
	clockAhead:        {"clock_ahead_seconds", gauge, "", "How far the wall clock is ahead of the clock used for expiry, which follows a jump slowly."},
	tableRecords:      {"table_records_bytes", gauge, "", "Memory of the dialogs themselves."},
	tableUsed:         {"table_used_bytes", gauge, "", "Memory of the table in use for records and indexes. The limit applies to this."},
	tableMapped:       {"table_mapped_bytes", gauge, "", "Memory of the table taken from the system."},
	tableLimit:        {"table_limit_bytes", gauge, "", "Maximum memory of the table (--max-memory). At this limit new dialogs are refused."},
	tableFullIn:       {"table_full_in_seconds", gauge, "", "Time until the table is full if it grows on as in the last five minutes. Absent if that is not in sight."},

	ringRecords:     {"ring_records_total", counter, "ring", "Records read from a ring."},
	ringSize:        {"ring_size_bytes", gauge, "ring", "Size of a ring."},
	ringFill:        {"ring_fill_bytes", gauge, "ring", "Bytes that wait in a ring now."},
	ringHighWater:   {"ring_high_water_bytes", gauge, "ring", "Highest number of bytes that waited in a ring since the start."},
	ringRefused:     {"ring_refused_records_total", counter, "ring", "Inconsistent records: a defect. Stays 0."},
	ringLateWakeups: {"ring_late_wakeups_total", counter, "ring", "Wake-ups that a consumer should have got but didn't: a defect. Stays 0."},
	latency:         {"apply_latency_seconds", histogram, "", "Time from the kernel's receipt of a dialog event until it is in the table."},
	batch:           {"batch_datagrams", histogram, "", "Datagrams that a consumer took in one batch. Batches grow with load."},

	sources: {"sources", gauge, "", "Sources that have sent a good packet, or are known from a saved table."},
	sourceEvents: {"source_events_total", counter, "source",
		"Good packets of a source, of any capability. The first 128 sources have their own series, the rest is \"other\"."},
	sourceRejected: {"source_rejected_total", counter, "source", "Packets of a source that were refused."},
	sourceRestarts: {"source_restarts_total", counter, "source", "Restarts of a source that were noticed. Its calls from before are ghosts."},
	sourceLast:     {"source_last_event_timestamp_seconds", gauge, "source", "When the last good packet of a source was received. Absent if the source was never heard, or doesn't count yet: only a source with 10 events that changed the table, or one that is expected, is missed when it is silent."},
	sourceSkew:     {"source_clock_skew_seconds", gauge, "source", "How far a source's clock is ahead of ours, measured by its recent creations. Absent if there were none."},

	destinationState:     {"destination_state", gauge, "destination state", "1 for the state of a backup (resolving, up, refused, unreachable), 0 for the other states."},
	destinationNeedsSync: {"destination_needs_sync", gauge, "destination", "1 if a backup was away, missed events or has another address, and no complete sync has followed."},
	destinationPaused:    {"destination_paused", gauge, "destination", "1 if a backup is paused by `binrepd backups pause`."},
	destinationSent:      {"destination_sent_total", counter, "destination", "Events sent to a backup."},
	destinationSentBytes: {"destination_sent_bytes_total", counter, "destination", "Payload bytes of the events sent to a backup."},
	destinationQueued:    {"destination_queued_events", gauge, "destination", "Events that wait to be sent to a backup."},
	destinationDropped:   {"destination_dropped_total", counter, "destination", "Events overwritten in the queue before they could be sent to a backup."},
	destinationLost:      {"destination_lost_total", counter, "destination", "Events to a backup that this host finally refused to send."},
	destinationErrors: {"destination_send_errors_total", counter, "destination kind",
		"Errors of sending to a backup: refused (the port was closed), unreachable (there was no route), other. Many lose no event; lost events are in destination_lost_total."},
	destinationOwn:       {"destination_own_total", counter, "destination", "Events that came from a backup and are not sent back to it, or that it needn't know."},
	destinationHeld:      {"destination_held_total", counter, "destination reason", "Events held back from a backup, because they would harm an OpenSIPS."},
	destinationUnmatched: {"destination_unmatched_sockets_total", counter, "destination", "Events with a socket that no --rewrite-socket covers although there are some. The standby would refuse the dialog."},

	destinationConverted: {"destination_converted_total", counter, "destination", "Dialogs of clusters that were converted for a backup of generation 1."},
	destinationConversionLost: {"destination_conversion_lost_total", counter, "destination field",
		"Contents of converted dialogs that a backup of generation 1 has no place for, by field; vars.type is the type of a value."},
	clusterFed:     {"cluster_fed_packets_total", counter, "cluster", "Packets with live calls of UDP sources that were sent to nodes of a cluster (--udp-to-cluster)."},
	clusterFedHeld: {"cluster_fed_held_total", counter, "cluster reason", "Live events of UDP sources that were held back from a node, because it would refuse them."},
	clusterFedLost: {"cluster_fed_lost_total", counter, "cluster", "Live events of UDP sources that a node didn't get: its queue was full, or its release wasn't known."},
	clusterFedConversionLost: {"cluster_fed_conversion_lost_total", counter, "cluster field",
		"Contents of dialogs of UDP sources that nodes have no place for, by field."},

	syncsRunning: {"syncs_running", gauge, "", "Running syncs."},
	syncs:        {"syncs_total", counter, "result", "Syncs that ended: complete, or failed. Dry runs don't count."},
	syncDuration: {"sync_duration_seconds", histogram, "", "How long complete syncs took."},

	saveInterval:    {"save_interval_seconds", gauge, "", "Interval between saves of the table (--save-interval). Absent without --state-dir, as are all metrics of saves."},
	saves:           {"saves_total", counter, "", "Saves of the table that succeeded."},
	saveFailures:    {"save_failures_total", counter, "", "Saves of the table that failed."},
	saveLast:        {"last_save_timestamp_seconds", gauge, "", "When the last successful save was started. Absent before the first."},
	saveDuration:    {"last_save_duration_seconds", gauge, "", "How long the last successful save took."},
	saveBytes:       {"last_save_bytes", gauge, "", "File size of the last successful save."},
	saveDialogs:     {"last_save_dialogs", gauge, "", "Live dialogs in the last successful save."},
	restoredSave:    {"restored_save_timestamp_seconds", gauge, "", "When the table that was restored at the start had been saved. Absent if none was restored."},
	restoredDialogs: {"restored_dialogs", gauge, "", "Live dialogs in the table that was restored at the start."},
	pinAdopted:      {"pin_adopted", gauge, "", "1 if the rings of an earlier process were taken over at the start, else 0. Absent without --pin."},
	pinWaited:       {"pin_waited_records", gauge, "", "Records that waited in the rings that were taken over. They were then applied."},
	pinUnsaved:      {"pin_unsaved_records", gauge, "", "Events that the earlier process had applied but that were not in the restored save. At most this many are lost."},
	pinDiscarded:    {"pin_discarded_records", gauge, "", "Datagrams that waited in rings of the earlier process that didn't fit and were replaced. They are lost. Missing if the number is unknown."},
	logLinesLost:    {"log_lines_lost_total", counter, "", "Lines of the log that could not be written, because nothing reads standard error or its disk is full."},
	pinOverflowed:   {"pin_overflowed_records", gauge, "", "Datagrams that have found their ring full since the restored save and that no process has now. At most this many are lost."},

	recordLimit:   {"record_limit_bytes", gauge, "", "Maximum size of all files of the recording (--record-size). Absent without --record, as are all metrics of recording."},
	recordWaiting: {"record_waiting", gauge, "", "Datagrams in the recorder's buffers. While the disk fails they wait for it."},
	recorded:      {"recorded_total", counter, "", "Datagrams recorded."},
	recordedBytes: {"recorded_bytes_total", counter, "", "Bytes of the recorded datagrams, with their headers in the file."},
	recordDropped: {"record_dropped_total", counter, "reason",
		"Datagrams that are missing in the recording (not in the replica): slow_disk, disk_error, or at_stop (could not be written at the end)."},
	recordFiles:     {"record_files", gauge, "", "Files of the recording, including those of earlier processes."},
	recordFileBytes: {"record_files_bytes", gauge, "", "Size of all files of the recording."},
	recordOldest:    {"record_oldest_timestamp_seconds", gauge, "", "When the oldest file of the recording was started. Absent without files."},
	recordErrors:    {"record_errors_total", counter, "", "Disk errors of the recording."},
	recordFailing:   {"record_failing", gauge, "", "1 while a disk error stops the recording, else 0."},

	clusterIncomplete: {"cluster_incomplete", gauge, "cluster", "1 if dialogs of a cluster are missing because no sync could be completed, else 0. Absent without --cluster, as are all metrics of clusters."},
	clusterNodeUp:     {"cluster_node_up", gauge, "cluster node", "1 if the link to another node of a cluster is up, else 0."},
	clusterNodeState:  {"cluster_node_since_timestamp_seconds", gauge, "cluster node", "Since when the link to a node has been as it is."},
	clusterSyncs:      {"cluster_syncs_total", counter, "cluster result", "Syncs that were asked of nodes and ended: complete, or failed."},
	clusterSyncLast:   {"cluster_last_sync_timestamp_seconds", gauge, "cluster", "When the last complete sync of a cluster ended. Absent before the first."},
	clusterGaps:       {"cluster_gaps_total", counter, "cluster", "Events after which packets of a cluster may be missing, such as a lost connection. Each is followed by a sync."},
	clusterRestarts:   {"cluster_node_restarts_total", counter, "cluster node", "Restarts of a node that were seen."},
	clusterConflicts:  {"cluster_tag_conflicts_total", counter, "cluster", "How often two nodes claimed a sharing tag within 5 s."},
	clusterDisputed:   {"cluster_tag_events_total", counter, "cluster result", "Events of nodes that act for a sharing tag although another node has claimed it since: applied, or fenced. `binrepd dialogs conflicts` lists the calls."},
	clusterBridge:     {"cluster_bridge_total", counter, "bridge outcome", "Calls that pass from one cluster into another (--cluster-bridge): packets to nodes, sent or not_sent; changes lost in the queue; and what was held back, by reason."},

	auditDialogs: {"audit_dialogs", gauge, "proxy result",
		"Dialogs of the last complete audit of a proxy (--audit), by result: compared, missing_here, missing_at_proxy, different, unchecked. Absent before the first, and without --audit."},
	auditLast: {"audit_last_timestamp_seconds", gauge, "proxy", "When the last complete audit of a proxy ended."},
}
