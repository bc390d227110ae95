package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// step is one line of the answer to a request that tells its progress: progress, or at the end the answer, with an
// error if the work failed.
type step[Progress, Answer any] struct {
	Progress *Progress `json:"progress,omitempty"`
	Answer   *Answer   `json:"summary,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// telling serves requests for work that calls progress now and then. The work ends when its client disconnects. So
// Ctrl-C stops it, and a broken connection leaves nothing running.
func telling[Request, Progress, Answer any](do func(context.Context, Request, func(Progress)) (Answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req Request
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLine)).Decode(&req); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		out := newLines(w)
		// The work never waits for its client. Progress that the client doesn't read in time is replaced by newer
		// progress.
		news, done := make(chan Progress, 1), make(chan struct{})
		var answer Answer
		var err error
		go func() {
			defer close(done)
			answer, err = do(ctx, req, func(p Progress) {
				select {
				case <-news:
				default:
				}
				news <- p
			})
		}()
		for running := true; running; {
			select {
			case p := <-news:
				if out.write(step[Progress, Answer]{Progress: &p}) != nil {
					cancel()
				}
			case <-done:
				running = false
			}
		}
		var mine *RequestError
		if errors.As(err, &mine) && !out.begun {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		last := step[Progress, Answer]{Answer: &answer}
		if err != nil {
			last.Error = err.Error()
		}
		_ = out.write(last) // fails only if the client has disconnected
	}
}

var errCut = errors.New("connection cut off")

// follow makes a request for such work, and calls progress until it is done. The answer is nil if none came: then the
// error is errCut if the connection ended during the work.
func follow[Progress, Answer any](ctx context.Context, c *Client, path string, req any, progress func(Progress)) (*Answer, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(ctx, http.MethodPost, path, nil, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, maxLine)
	for in.Scan() {
		var line step[Progress, Answer]
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("answer of %s: %w", c.path, err)
		}
		switch {
		case line.Progress != nil:
			progress(*line.Progress)
		case line.Error != "":
			return line.Answer, errors.New(line.Error)
		case line.Answer != nil:
			return line.Answer, nil
		}
	}
	return nil, errors.Join(in.Err(), errCut)
}
