package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// FileRequest names the file to save or load. The path is that of the appliance's process.
type FileRequest struct {
	Path string `json:"path"`
	// Everything means that early dialogs and remembered ends are saved, too.
	Everything bool `json:"everything,omitempty"`
}

// SaveSummary is the result of a save.
type SaveSummary struct {
	Path    string  `json:"path"`
	Dialogs uint64  `json:"dialogs"`
	Early   uint64  `json:"early"`
	Ended   uint64  `json:"ended"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

// LoadSummary is the result of a load.
type LoadSummary struct {
	Path    string `json:"path"`
	Records uint64 `json:"records"` // in the file
	// Changed is how many records changed the table. The others were not new, or their calls have ended since.
	Changed  uint64            `json:"changed"`
	Outcomes map[string]uint64 `json:"outcomes"`
	Expired  uint64            `json:"expired"` // skipped, because their timeout has passed
	// Skipped counts records that this version doesn't know and that the file allows to skip, by kind.
	Skipped map[string]uint64 `json:"skipped,omitempty"`
	Seconds float64           `json:"seconds"`
}

// Save makes the appliance save its table.
func (c *Client) Save(ctx context.Context, req FileRequest) (s SaveSummary, err error) {
	return s, c.post(ctx, "/v1/save", req, &s)
}

// Load makes the appliance load a file.
func (c *Client) Load(ctx context.Context, req FileRequest) (s LoadSummary, err error) {
	return s, c.post(ctx, "/v1/load", req, &s)
}

func (c *Client) post(ctx context.Context, path string, req, out any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	resp, err := c.send(ctx, http.MethodPost, path, nil, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.decode(resp, out)
}

// call returns the handler of a request that is answered by one object.
func call[Request, Answer any](do func(context.Context, Request) (Answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req Request
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLine)).Decode(&req); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		answer, err := do(r.Context(), req)
		var mine *RequestError
		switch {
		case errors.As(err, &mine):
			refuse(w, http.StatusBadRequest, err)
		case err != nil:
			refuse(w, http.StatusInternalServerError, err)
		default:
			writeJSON(w, answer)
		}
	}
}
