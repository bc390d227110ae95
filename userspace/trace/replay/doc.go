// Package replay sends recorded datagrams again, with the pauses that were between them, or shorter ones.
//
// What is sent is what was received, byte for byte, bad packets too. Dialogs carry absolute times, so that those of an old
// recording expire as soon as they are replayed; with Config.Shift the times of good packets are moved on by as much as the recording is old,
// and their checksums made anew.
package replay
