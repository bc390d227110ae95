package control

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSilentProcess: a process that takes a connection and never answers makes every request fail after the client's
// patience, with the number of the process (fault 17).
func TestSilentProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // nobody accepts
	c := NewClient(path)
	c.patience = 50 * time.Millisecond
	ctx := context.Background()
	for name, request := range map[string]func() error{
		"status": func() error { _, err := c.Status(ctx); return err },
		"count":  func() error { _, err := c.Count(ctx, Filter{}); return err },
		"list":   func() error { return c.Dialogs(ctx, Filter{}, nil) },
		"ghosts": func() error { _, err := c.Ghosts(ctx, GhostQuery{Times: 10}, false, nil); return err },
		"sync":   func() error { _, err := c.Sync(ctx, SyncRequest{To: "x"}, nil); return err },
		"save":   func() error { _, err := c.Save(ctx, FileRequest{}); return err },
		"allow":  func() error { _, err := c.Allowed(ctx); return err },
	} {
		if err := request(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d doesn't answer", os.Getpid())) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSlowAnswer: a request that takes longer than the client's patience is no failure while the server is alive.
func TestSlowAnswer(t *testing.T) {
	var c *Client
	c, _ = serveBackend(t, &Backend{
		Save: func(context.Context, FileRequest) (SaveSummary, error) {
			time.Sleep(4 * c.patience)
			return SaveSummary{Dialogs: 3}, nil
		},
	})
	c.patience = 100 * time.Millisecond
	if s, err := c.Save(context.Background(), FileRequest{Path: "/x"}); err != nil || s.Dialogs != 3 {
		t.Errorf("%+v, %v", s, err)
	}
}
