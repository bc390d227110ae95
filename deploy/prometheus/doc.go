// Package prometheus has tests of the files beside it, rules and a scrape configuration for Prometheus, and of the dashboard in
// ../grafana, which goes by the same metrics: everything that an expression names must exist.
package prometheus
