package control

import (
	"context"
	"net/http"
)

// What a SourceRequest does.
const (
	SourceForget = "forget"
	SourceExpect = "expect"
)

// SourceRequest says which sources count.
type SourceRequest struct {
	Do      string `json:"do"`      // SourceForget or SourceExpect
	Address string `json:"address"` // ADDRESS:PORT, or ADDRESS for every source of that host
}

// SourceList is the sources and how they stand.
type SourceList struct {
	Sources []SourceStatus `json:"sources"`
}

// Sources gets the list of sources.
func (c *Client) Sources(ctx context.Context) (list SourceList, err error) {
	return list, c.get(ctx, "/v1/sources", nil, &list)
}

// ChangeSources forgets or expects sources, and returns the new list.
func (c *Client) ChangeSources(ctx context.Context, req SourceRequest) (list SourceList, err error) {
	return list, c.post(ctx, "/v1/sources", req, &list)
}

func (b *Backend) sources(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, SourceList{Sources: b.Status().Sources})
}
