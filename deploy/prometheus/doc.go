// Package prometheus has tests of the files beside it, rules and a scrape configuration for Prometheus, and of the
// dashboard in ../grafana, which uses the same metrics. Every name in an expression must exist.
package prometheus
