// Package telemetry serves what the appliance counts to those who watch it from elsewhere: HTTP on the metrics address.
//
//	GET /metrics   the counters, for Prometheus
//	GET /healthz   200 while the process works, 503 when it hangs: restart it
//	GET /readyz    200 while the replica is whole, 503 with the reason when it isn't: don't rely on it
//
// Nothing here is on the path of a packet. A scrape reads the same picture as `binrepd status`, which the parts put together on
// request, and that is all that it costs them; scrapes that come at short intervals share one. The server bounds
// connections, their number and their time. When all places are taken, the connection that has been idle longest makes room for the next
// client, or else the one that has taken nothing of its answer for longest; so nobody is kept out by connections that ask nothing, nor by those
// that ask without end and don't read.
package telemetry
