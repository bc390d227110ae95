// Package live is the live view of a running appliance in a terminal: `binrepd top`.
//
// A Model takes snapshots of the status, failures, answers and keys, and draws itself as a Frame, a grid of cells. Both
// are pure: no terminal, no clock, no network. Only Run uses a terminal. Once and Stream don't need one.
//
//	status, dialogs --> Model --> Frame --> terminal, or plain text
//	keys ------------>
//
// Strings that came over the wire, such as Call-IDs, may hold any bytes. A Frame takes only characters that are one
// cell wide and control nothing. Everything else is shown as escapes.
package live
