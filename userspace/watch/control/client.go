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
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"
)

// maxLine is the maximum length of one line of a list: a dialog of the largest packet with every byte escaped as
// \\xNN, and the keys.
const maxLine = 1 << 20

// patience is how long a client waits for the first answer. A busy appliance answers within milliseconds.
const patience = 5 * time.Second

// errSilent is why a request ends after patience.
var errSilent = errors.New("no answer")

// Client talks to the appliance that listens at a socket.
type Client struct {
	path     string
	http     http.Client
	patience time.Duration
	pid      atomic.Int32 // of the process that listens; 0: not connected yet
}

// NewClient returns a client for the socket at path. It doesn't connect yet.
func NewClient(path string) *Client {
	c := &Client{path: path, patience: patience}
	c.http.Transport = &http.Transport{DialContext: c.dial, DisableKeepAlives: true}
	return c
}

// dial connects, and notes which process listens.
func (c *Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, err
	}
	if pid, err := pidOf(conn.(*net.UnixConn)); err == nil {
		c.pid.Store(pid)
	}
	return conn, nil
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
	ctx, cancel := context.WithCancelCause(ctx)
	// The server's first answer to a request that may take long is "100 Continue".
	silence := time.AfterFunc(c.patience, func() { cancel(errSilent) })
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { silence.Stop(); return nil },
	})
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	resp, err := c.http.Do(req)
	silence.Stop()
	if err != nil || resp.StatusCode != http.StatusOK {
		defer cancel(nil)
	}
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		if err == nil {
			resp.Body.Close()
		}
		return nil, c.silent()
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
	resp.Body = &answer{resp.Body, cancel}
	return resp, nil
}

// silent returns the error for a process that takes connections but doesn't answer.
func (c *Client) silent() error {
	if pid := c.pid.Load(); pid != 0 {
		return fmt.Errorf("process %d doesn't answer at %s within %s: it is stopped or stuck", pid, c.path, c.patience)
	}
	return fmt.Errorf("the process at %s takes no connection within %s: it is stopped or stuck", c.path, c.patience)
}

// answer is the body of an answer. Its end ends the request.
type answer struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (a *answer) Close() error {
	defer a.cancel(nil)
	return a.ReadCloser.Close()
}
