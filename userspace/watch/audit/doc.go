// Package audit compares the dialogs that a proxy has, as its management interface shows them, with those of the table,
// while calls come and go.
//
// # The idea
//
// A list that is asked for in pages is no snapshot: a dialog that begins or ends moves all those behind it, so that a
// walk skips some and shows others twice. And events are on their way. So a difference counts only if it is still there
// after a while, when the proxy is asked about that one call:
//
//	walk over the proxy   join each dialog with the table: missing here? different?   note its hash
//	scan of the table     a live dialog whose hash wasn't noted: missing at the proxy?
//	second walk           only if there are such: those that it shows are no difference
//	wait, then ask        for each that is left: look here again, ask the proxy for its Call-ID
//
// Dialogs that live events told of since the walk began are not judged: they are right by those events, or the next
// audit tells.
//
// # Bounds
//
// The noted hashes take 8 bytes a dialog. Of each kind of difference 4,096 are kept and asked for, with 16 MiB of names; the rest is counted.
// No shard is locked for longer than a scan of the table locks it. How fast the proxy is asked is up to the client
// (mi.Client.Spare).
package audit
