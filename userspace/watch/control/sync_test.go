package control

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"binrepd/userspace/cluster/member"
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

// TestClusterSyncTellsItsProgress: progress comes while the sync runs. A sync that failed tells how far it came, a wrong request
// that nothing was begun.
func TestClusterSyncTellsItsProgress(t *testing.T) {
	failed := errors.New("failed after 2 dialogs of node 1")
	c, _ := serveBackend(t, &Backend{
		SyncCluster: func(_ context.Context, req ClusterSyncRequest, progress func(member.SyncStatus)) (member.SyncResult, error) {
			if req.Cluster == 7 {
				return member.SyncResult{}, &RequestError{errors.New("this binrepd isn't in cluster 7")}
			}
			progress(member.SyncStatus{State: member.SyncRunning, Donor: 1, Chunks: 2})
			r := member.SyncResult{Donor: 1, Chunks: 2, Ended: time.Unix(testNow, 0), Complete: req.From == 0}
			if r.Complete {
				return r, nil
			}
			return r, failed
		},
	})
	for _, test := range []struct {
		req   ClusterSyncRequest
		told  int
		ended bool
		err   string
	}{
		{ClusterSyncRequest{}, 1, true, ""},
		{ClusterSyncRequest{From: 1}, 1, true, failed.Error()},
		{ClusterSyncRequest{Cluster: 7}, 0, false, "this binrepd isn't in cluster 7"},
	} {
		told := 0
		r, err := c.SyncCluster(t.Context(), test.req, func(s member.SyncStatus) {
			if told++; s.Donor != 1 || s.Chunks != 2 || s.State != member.SyncRunning {
				t.Errorf("%+v", s)
			}
		})
		if told != test.told || r.Ended.IsZero() == test.ended || (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("%+v: told %d times, %+v, %v", test.req, told, r, err)
		}
	}
}
