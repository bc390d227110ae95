// Package serving runs an HTTP server for as long as a context lasts, and no longer: when Until returns, no handler runs any more, so
// that what the handlers use can be given back.
package serving
