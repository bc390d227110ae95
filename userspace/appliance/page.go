package appliance

import (
	"net/http"
	"os"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/statuspage"
)

// page returns the status page of the metrics address.
func (a *Appliance) page() http.Handler {
	name, err := os.Hostname()
	if err != nil {
		a.log.Warn("the status page answers only requests that name an address: this host has no name", "error", err)
	}
	table := control.Backend{Table: a.table, Steering: a.steering, Origin: a.engine.Origin, Sender: a.engine.Sender}
	return statuspage.Handler(statuspage.Config{
		Status: a.Status, Trend: &a.trend, Dialogs: table.Find, Bound: a.config.Metrics, Names: []string{name},
	})
}
