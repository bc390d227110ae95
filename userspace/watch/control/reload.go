package control

import "context"

// ReloadSummary is what a reload did.
type ReloadSummary struct {
	// Changed says what has changed, one sentence each.
	Changed []string `json:"changed"`
	// NeedRestart names the flags of run that have new values, which only a restart puts into force.
	NeedRestart []string `json:"need_restart"`
}

// Reload makes the appliance read its settings again. An error means that nothing has changed.
func (c *Client) Reload(ctx context.Context) (s ReloadSummary, err error) {
	return s, c.post(ctx, "/v1/reload", struct{}{}, &s)
}
