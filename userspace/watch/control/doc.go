// Package control is the local API of a running appliance: HTTP with JSON over a Unix socket.
//
//	GET  /v1/status          one Status
//	GET  /v1/dialogs         Dialog objects, one a line, in no particular order; query: Filter
//	GET  /v1/dialogs/count   one Count; query: Filter
//	POST /v1/sync            SyncRequest; progress, one object a line, and a SyncSummary
//	POST /v1/save, /v1/load  FileRequest; one SaveSummary or LoadSummary
//
// Lists are streamed while the table is walked step by step, so that neither a large table nor a client that
// stops reading holds up anything but its own connection. Errors come as {"error": "..."} with a matching status code.
//
// The API is private to one version of the program: server and client are built together. What scripts may rely on is the
// output of the commands, whose JSON keys are those of the types here.
package control
