package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Route is a request that another package answers, with JSON objects, one a line. It needs the right to change things.
type Route struct {
	Pattern string // such as "POST /v1/audit"
	// Answer carries out a request and calls write for each line. If the request is wrong, the error is a *RequestError. It
	// ends when ctx does, and when write fails: then the client is gone.
	Answer func(ctx context.Context, request []byte, write func(line any) error) error
}

// handler returns the handler of a route.
func (r Route) handler() http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxLine))
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		out := newLines(w)
		err = r.Answer(req.Context(), body, out.write)
		var mine *RequestError
		switch {
		case err == nil:
		case out.begun:
			_ = out.write(failure{Error: err.Error()}) // fails only if the client has disconnected
		case errors.As(err, &mine):
			refuse(w, http.StatusBadRequest, err)
		default:
			refuse(w, http.StatusInternalServerError, err)
		}
	}
}

// Ask sends a request to a Route's path, and calls each for every line of the answer. The line is valid until each
// returns.
func (c *Client) Ask(ctx context.Context, path string, request any, each func(line []byte) error) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	resp, err := c.send(ctx, http.MethodPost, path, nil, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, maxLine)
	for in.Scan() {
		var f failure
		if json.Unmarshal(in.Bytes(), &f) == nil && f.Error != "" {
			return errors.New(f.Error)
		}
		if err := each(in.Bytes()); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("answer of %s cut off: %w", c.path, err)
	}
	return nil
}
