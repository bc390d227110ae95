package appliance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"binrepd/userspace/cluster/member"
	"binrepd/userspace/watch/control"
)

// syncTold is how often the progress of a cluster's sync is told.
const syncTold = 100 * time.Millisecond

// SyncCluster asks a node for its dialogs, calls progress now and then, and waits for the result. If the error is a
// *control.RequestError, nothing was asked.
func (a *Appliance) SyncCluster(ctx context.Context, req control.ClusterSyncRequest, progress func(member.SyncStatus)) (member.SyncResult, error) {
	m, err := a.memberOf(req.Cluster)
	if err != nil {
		return member.SyncResult{}, &control.RequestError{Err: err}
	}
	var r member.SyncResult
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err = m.Sync(ctx, req.From)
	}()
	tick := time.NewTicker(syncTold)
	defer tick.Stop()
	for {
		select {
		case <-done:
			if err != nil && r.Ended.IsZero() && ctx.Err() == nil {
				err = &control.RequestError{Err: err}
			}
			return r, err
		case <-tick.C:
			progress(m.SyncStatus())
		}
	}
}

// memberOf returns the member of a cluster, or for 0 the only one.
func (a *Appliance) memberOf(cluster int32) (*member.Member, error) {
	members := a.joined()
	switch {
	case len(members) == 0:
		return nil, errors.New("this binrepd is in no cluster: see run's --cluster")
	case cluster == 0 && len(members) > 1:
		return nil, fmt.Errorf("which cluster? This binrepd is in %d: add --cluster N", len(members))
	}
	for _, m := range members {
		if cluster == 0 || m.Cluster() == cluster {
			return m, nil
		}
	}
	return nil, fmt.Errorf("this binrepd isn't in cluster %d", cluster)
}
