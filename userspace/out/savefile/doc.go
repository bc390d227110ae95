// Package savefile saves the table to a file and loads it back. format.go has the format.
//
// # Saving
//
// Save scans the table like a sync session does, one shard at a time, and so doesn't hold up the engine. Each dialog
// is in the file as it was at some moment of the saving. The new file takes the place of the old one only when all of
// it is on the disk.
//
// # Loading
//
// Load verifies every byte of the file before it changes the table. A damaged file is refused as a whole. The records
// of a good one are applied by the rules of package dialog, each as of its own time, so that whatever the table knows
// better stays.
//
// # Versions
//
// This package writes version 2, and reads version 1, too. A file of a later version is refused with ErrNewer. Within
// a version, new kinds of records may appear: a block names the kind of its records and says whether a reader that
// doesn't know the kind may skip them. If it may not, the file is refused, and the error names the kind.
package savefile
