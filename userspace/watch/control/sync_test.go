package control

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
)

// TestStoppedSyncHasObjects: the summary of a stopped or interrupted sync has the same keys and types as that of a
// complete one.
func TestStoppedSyncHasObjects(t *testing.T) {
	c, _ := serveBackend(t, &Backend{
		Sync: func(ctx context.Context, req SyncRequest, progress func(SyncProgress)) (SyncSummary, error) {
			progress(SyncProgress{Packets: 7})
			<-ctx.Done()
			return SyncSummary{To: req.To}, ctx.Err()
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := c.Sync(ctx, SyncRequest{To: "standby:5556", DryRun: true}, func(SyncProgress) { cancel() })
	if !errors.Is(err, context.Canceled) || s.To != "standby:5556" || s.Packets != 7 || !s.DryRun {
		t.Fatalf("%+v, %v", s, err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	for key, value := range keys {
		if value == nil {
			t.Errorf("%s is null", key)
		}
	}
}
