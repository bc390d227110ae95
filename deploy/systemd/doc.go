// Package systemd holds the service of binrepd and what it needs of the system, and tests that run the service's command
// as the service would: with its user, its capabilities and nothing else.
package systemd
