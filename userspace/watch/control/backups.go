package control

import (
	"context"
	"net/http"
)

// What a BackupRequest does.
const (
	BackupAdd    = "add"
	BackupRemove = "remove"
	BackupPause  = "pause"
	BackupResume = "resume"
)

// BackupRequest changes the list of backups until the appliance ends.
type BackupRequest struct {
	Do      string `json:"do"`      // one of the Backup constants
	Address string `json:"address"` // HOST:PORT
	// Of a backup to be added.
	Rate              int      `json:"rate,omitempty"`     // events a second; 0: no limit
	Rewrites          []string `json:"rewrites,omitempty"` // OLD=NEW
	ClearByeOnTimeout bool     `json:"clear_bye_on_timeout,omitempty"`
}

// BackupList is the backups and how they stand.
type BackupList struct {
	Backups []DestinationStatus `json:"backups"`
}

// Backups gets the list of backups.
func (c *Client) Backups(ctx context.Context) (list BackupList, err error) {
	return list, c.get(ctx, "/v1/backups", nil, &list)
}

// ChangeBackups changes the list and returns the new one.
func (c *Client) ChangeBackups(ctx context.Context, req BackupRequest) (list BackupList, err error) {
	return list, c.post(ctx, "/v1/backups", req, &list)
}

func (b *Backend) backups(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, b.Backups())
}
