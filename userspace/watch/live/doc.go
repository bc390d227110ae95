// Package live is the view of a running appliance for people: `binrepd top`.
//
// A Model takes what comes, snapshots of the status, failures, answers and keys, and draws itself as a Frame, a picture of so many cells.
// Both are pure: no terminal, no clock, no network. Run is the only part that touches a terminal, and Once and Stream do without one.
//
//	status, dialogs --> Model --> Frame --> terminal, or plain text
//	keys ------------>
//
// Strings that came over the wire, such as Call-IDs, are whatever their sender liked. A Frame takes only characters that
// are one cell wide and act upon nothing; the rest is shown as escapes.
package live
