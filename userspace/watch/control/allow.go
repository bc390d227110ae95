package control

import (
	"context"
	"net/http"
)

// AllowRequest changes the list of those who may speak. Both lists are of prefixes or addresses.
type AllowRequest struct {
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// AllowList is who may speak: prefixes, sorted. None: everyone.
type AllowList struct {
	Allow []string `json:"allow"`
}

// Allowed asks who may speak.
func (c *Client) Allowed(ctx context.Context) (list AllowList, err error) {
	return list, c.get(ctx, "/v1/allow", nil, &list)
}

// Allow changes the list, as a whole or not at all, and returns what it is then.
func (c *Client) Allow(ctx context.Context, req AllowRequest) (list AllowList, err error) {
	return list, c.post(ctx, "/v1/allow", req, &list)
}

func (b *Backend) allowed(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, b.Allowed())
}

// RefusedSource is how many datagrams of a source were turned away.
type RefusedSource struct {
	Address   string `json:"address"`
	Datagrams uint64 `json:"datagrams"`
}
