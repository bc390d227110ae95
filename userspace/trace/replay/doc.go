// Package replay sends recorded datagrams again, with the original pauses or with shorter ones.
//
// It sends what was received, byte for byte, including bad packets. Dialogs have absolute times, so the dialogs of an
// old recording would expire as soon as they are replayed. With Config.Shift the times in good packets are moved
// forward by the age of the recording, and their checksums are computed again.
package replay
