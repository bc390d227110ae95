// Package control is the local API of a running appliance: HTTP with JSON over a Unix socket.
//
//	GET  /v1/status          one Status
//	GET  /v1/dialogs         Dialog objects, one per line, in no particular order; query: Filter
//	GET  /v1/dialogs/count   one Count; query: Filter
//	GET  /v1/dialogs/conflicts  one ConflictList
//	GET  /v1/ghosts          suspected ghosts, one per line, and a GhostSummary; query: times, silent, origin, before
//	POST /v1/ghosts          the same, and ends the suspects
//	GET  /v1/allow           the AllowList
//	POST /v1/allow           AllowRequest; the new AllowList
//	POST /v1/sync            SyncRequest; progress, one object per line, and a SyncSummary
//	POST /v1/save, /v1/load  FileRequest; one SaveSummary or LoadSummary
//
// Lists are streamed while the table is walked step by step. So neither a large table nor a client that stops reading
// delays anything but its own connection. Errors come as {"error": "..."} with a matching status code.
//
// The API belongs to one version of the program: server and client are built together. Scripts should rely on the
// output of the commands instead. Its JSON keys are those of the types in this package.
package control
