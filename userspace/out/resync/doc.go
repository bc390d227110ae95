// Package resync sends the whole table to a standby, as packets.
//
// # A session
//
// A standby answers nothing and drops what it can't keep up with, while events go on coming here. So a session sends at a
// pace, in passes, and sends what changes meanwhile behind what it has read:
//
//	open a tail of what is forwarded
//	for each pass:
//	    twice, first for dialogs, then for ends that are remembered:
//	        until the table is through:
//	            send what the tail has
//	            copy the next few hundred entries, under one shard's lock     (Table.Scan),
//	                without a pace several times that
//	            send them, without a pace by length
//	send what the tail has
//
// Claim: of each dialog, the last thing that a session sends is the state it has when the session last looks at the tail.
// For whatever changes a shard is forwarded before the shard's lock is given up. Take a dialog, and the last change of it
// before that moment. If it was forwarded before the tail was opened, every copy of the entry shows it, and the tail has
// nothing about the dialog. Otherwise it is in the tail, the last there about this dialog. A copy that is put in line behind
// it was made after the tail had been read up to it, and so shows it, too. In between the standby may see an older state for a
// moment, when a copy already shows what the tail has still to tell.
//
// How many entries are copied between two looks at the tail, and in which order these copies are sent, is of no matter for that: all
// were made behind the same look, and of two copies of one dialog that differ, the tail tells the difference later.
//
// Live dialogs go first: they are what a standby is filled for, and there may be a hundred times as many ends. A deletion names a dialog
// with its tags in either order, and so may hit a live dialog of the same Call-ID. Where the table has such a dialog, the deletion
// isn't sent.
//
// Without a pace a session gathers thousands of copies and sends them by length, because messages of equal length cost the
// kernel little when they follow each other (see package socket). With Replace it doesn't: a dialog's deletion and creation stay
// together, so that the standby lacks the call no longer than it must. Where it gathers, the last looks at the tail wait until all before has
// been sent.
//
// If the tail is overwritten before it is read, because more changes than can be sent, the claim fails for that pass; there is another
// one, up to a limit, and the summary tells of it.
//
// # What is sent
//
// A live dialog goes as an update: an OpenSIPS that lacks the dialog builds it from that, one that has it takes over its state,
// sequence numbers, flags, timeout, variables and profiles; a creation of a dialog that it has would change nothing. What an OpenSIPS
// builds has the caller's CSeq 0, whatever the packet said. So an update follows each creation: by the next pass, or with only one pass,
// with Replace and for changes of the tail, by sending the update again. A dialog whose end
// is still remembered goes as a deletion, so that calls go away whose end the standby missed; EndsFrom tells which ends. An update leaves things
// behind, however: variables and profiles that the dialog has no longer, and a route set, contact or socket that was wrong
// from the beginning. With Replace each dialog goes as a deletion, a creation and an update, which leaves nothing; the price is that a lost
// creation leaves the standby without the call, until the next pass. That is for an OpenSIPS only. Another binrepd remembers the deletion, by the
// rules of package dialog the creation, whose start is the same, is late there, and every call ends. It needs no Replace: an update is a whole
// snapshot to it, so that a plain session leaves nothing behind. Dialogs that are being set up are not sent, nor those
// whose timeout has passed: OpenSIPS would keep either too long. Everything passes package shield.
package resync
