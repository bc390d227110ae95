package main

import (
	"log/slog"
	"net/http"
	"os"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/statuspage"
)

// page is the status page of the metrics address.
func (a *appliance) page(log *slog.Logger) http.Handler {
	name, err := os.Hostname()
	if err != nil {
		log.Warn("the status page answers to addresses only: this host has no name", "error", err)
	}
	table := control.Backend{Table: a.table, Steering: a.steering, Origin: a.engine.Origin}
	return statuspage.Handler(statuspage.Config{
		Status: a.status, Trend: &a.trend, Dialogs: table.Find, Bound: a.options.Metrics, Names: []string{name},
	})
}
