// Package telemetry serves the appliance's counters to remote monitoring: HTTP on the metrics address.
//
//	GET /metrics   the counters, for Prometheus
//	GET /healthz   200 while the process works, 503 when it is stuck: restart it
//	GET /readyz    200 while the replica is complete, 503 with the reason when it isn't: don't rely on it
//
// Nothing here is on the path of a packet. A scrape reads the same snapshot as `binrepd status`, which the components
// put together on request. That is all that a scrape costs them, and scrapes at short intervals share one snapshot.
//
// The server limits the number of connections and their time. When all places are taken, the connection that has been
// idle longest makes room for the next client, or else the one that has read nothing of its answer for longest. So
// neither idle connections nor clients that ask and don't read can keep others out.
package telemetry
