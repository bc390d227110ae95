package control

import (
	"context"
	"net/http"
	"time"

	"binrepd/userspace/state/conflicts"
)

// Conflict is a call that an older claimant of its sharing tag changed, or tried to.
type Conflict struct {
	Cluster int32 `json:"cluster_id"`
	Tag     Text  `json:"Tag"`
	CallID  Text  `json:"callid"`
	FromTag Text  `json:"from_tag"`
	ToTag   Text  `json:"to_tag"`
	// Older is the node that claimed the tag before Newer did. ByOlder and ByNewer count their events. Refused of ByOlder
	// were refused (fence). Both tells that both nodes changed the call.
	Older   int32     `json:"older_node"`
	Newer   int32     `json:"newer_node"`
	ByOlder uint64    `json:"older_events"`
	ByNewer uint64    `json:"newer_events"`
	Refused uint64    `json:"refused"`
	Both    bool      `json:"both"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// ConflictList is what is known of conflicts about sharing tags.
type ConflictList struct {
	Fence     bool       `json:"fence"`
	Events    uint64     `json:"events"`  // of older claimants since the start, refused ones too
	Refused   uint64     `json:"refused"` // of them
	Both      int        `json:"both"`    // calls of the list that both sides changed
	More      uint64     `json:"more"`    // events of calls that found no room on the list
	Conflicts []Conflict `json:"conflicts"`
}

// ClusterConflict counts the events of an older claimant of a tag.
type ClusterConflict struct {
	Tag     Text   `json:"tag"`
	Node    int32  `json:"node"`
	Events  uint64 `json:"events"`
	Refused uint64 `json:"refused"`
}

// NewClusterConflicts returns those of one cluster.
func NewClusterConflicts(cluster int32, sides []conflicts.Side) []ClusterConflict {
	list := []ClusterConflict{}
	for _, s := range sides {
		if s.Cluster == cluster {
			list = append(list, ClusterConflict{Text(s.Tag), s.Node, s.Events, s.Refused})
		}
	}
	return list
}

// Conflicts returns the calls that are in a conflict, those with the latest event first.
func (c *Client) Conflicts(ctx context.Context) (l ConflictList, err error) {
	return l, c.get(ctx, "/v1/dialogs/conflicts", nil, &l)
}

func (b *Backend) conflicts(w http.ResponseWriter, _ *http.Request) {
	l := ConflictList{Conflicts: []Conflict{}}
	if b.Conflicts != nil {
		s, _ := b.Conflicts.Sums()
		l.Fence, l.Events, l.Refused, l.Both, l.More = b.Conflicts.Fence(), s.Events, s.Refused, s.Both, s.More
		for _, d := range b.Conflicts.List() {
			l.Conflicts = append(l.Conflicts, Conflict{
				Cluster: d.Cluster, Tag: Text(d.Tag), CallID: Text(d.CallID), FromTag: Text(d.FromTag), ToTag: Text(d.ToTag),
				Older: d.Older, Newer: d.Newer, ByOlder: d.ByOlder, ByNewer: d.ByNewer, Refused: d.Refused, Both: d.Both,
				First: d.First, Last: d.Last,
			})
		}
	}
	writeJSON(w, l)
}
