// Package serving runs an HTTP server for the lifetime of a context. When Until returns, no handler runs any more, so
// everything that the handlers use can be closed.
package serving
