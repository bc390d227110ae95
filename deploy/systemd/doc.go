// Package systemd holds the service of binrepd and its system configuration. Its tests run the service's command as the
// service would: with its user, exactly its capabilities, and nothing else.
package systemd
