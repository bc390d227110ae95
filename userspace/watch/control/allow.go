package control

import (
	"context"
	"net/http"
)

// AllowRequest changes the list of allowed sources. Both fields have prefixes or addresses.
type AllowRequest struct {
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// AllowList is the sorted list of allowed prefixes. An empty list allows every source.
type AllowList struct {
	Allow []string `json:"allow"`
}

// Allowed gets the list of allowed sources.
func (c *Client) Allowed(ctx context.Context) (list AllowList, err error) {
	return list, c.get(ctx, "/v1/allow", nil, &list)
}

// Allow changes the list completely or not at all, and returns the new list.
func (c *Client) Allow(ctx context.Context, req AllowRequest) (list AllowList, err error) {
	return list, c.post(ctx, "/v1/allow", req, &list)
}

func (b *Backend) allowed(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, b.Allowed())
}

// RefusedSource is how many datagrams of a source were refused.
type RefusedSource struct {
	Address   string `json:"address"`
	Datagrams uint64 `json:"datagrams"`
}
