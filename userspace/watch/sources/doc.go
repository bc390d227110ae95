// Package sources keeps what operators and the appliance know of sources beyond the counters of the engine: which of
// them are expected to send, and which had been sending before the last restart.
//
// A source counts when its silence is news, so that it makes the state STALE. It counts if it has sent enough events
// that changed the table, if it did so before a restart of the appliance, or if an operator expects it. A source that
// is known only from dialogs of a file doesn't count.
package sources
