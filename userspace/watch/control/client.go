package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// maxLine is the maximum length of one line of a list: a dialog of the largest packet with every byte escaped as
// \\xNN, and the keys.
const maxLine = 1 << 20

// Client talks to the appliance that listens at a socket.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a client for the socket at path. It doesn't connect yet.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status gets the status.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.get(ctx, "/v1/status", nil, &s)
	return s, err
}

// Count returns how many dialogs match f.
func (c *Client) Count(ctx context.Context, f Filter) (uint64, error) {
	var n Count
	err := c.get(ctx, "/v1/dialogs/count", f.Query(), &n)
	return n.Dialogs, err
}

// Dialogs calls each for every dialog that matches f, with its line of JSON as received. The line is valid until each
// returns.
func (c *Client) Dialogs(ctx context.Context, f Filter, each func(line []byte) error) error {
	resp, err := c.do(ctx, "/v1/dialogs", f.Query())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := each(lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("list cut off: %w", err)
	}
	return nil
}

func (c *Client) get(ctx context.Context, path string, q url.Values, out any) error {
	resp, err := c.do(ctx, path, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.decode(resp, out)
}

func (c *Client) decode(resp *http.Response, out any) error {
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("answer of %s: %w", c.path, err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, path string, q url.Values) (*http.Response, error) {
	return c.send(ctx, http.MethodGet, path, q, nil)
}

func (c *Client) send(ctx context.Context, method, path string, q url.Values, body io.Reader) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "binrepd", Path: path, RawQuery: q.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("no binrepd runs at %s: start it with `binrepd run`, or name its socket with --control", c.path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("no access to %s: run as root or as a member of the socket's group", c.path)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", c.path, err)
	case resp.StatusCode != http.StatusOK:
		defer resp.Body.Close()
		var f failure
		if json.NewDecoder(resp.Body).Decode(&f) != nil || f.Error == "" {
			return nil, fmt.Errorf("%s: %s", c.path, resp.Status)
		}
		return nil, errors.New(f.Error)
	}
	return resp, nil
}
