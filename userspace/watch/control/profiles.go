package control

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/member"
)

// ClusterProfiles is what the nodes of one cluster say of their dialog profiles.
type ClusterProfiles struct {
	Cluster int32
	Nodes   []member.NodeProfiles
}

// ProfileQuery says which profiles to count.
type ProfileQuery struct {
	Name  string // only this profile; "": every one
	Limit int    // values of each profile to list, those with the most dialogs; 0: all
}

// ProfileList is the answer to a ProfileQuery.
type ProfileList struct {
	Profiles []ProfileCounts `json:"profiles"` // by name
	Nodes    []ProfileNode   `json:"nodes"`    // those that send counts
	// NotCounted is the number of memberships that aren't in the list, because there are more names and values than fit.
	NotCounted uint64 `json:"not_counted"`
}

// ProfileCounts is a profile with all of its values. Counts of the table are of live dialogs, whichever node handles them.
type ProfileCounts struct {
	Name Text `json:"name"`
	ProfileSums
	Values []ProfileValue `json:"values"` // those with the most dialogs first
	// MoreValues is the number of values that the limit left out.
	MoreValues int `json:"more_values"`
}

// ProfileValue is a value of a profile; "" if the profile has none.
type ProfileValue struct {
	Value Text `json:"value"`
	ProfileSums
}

// ProfileSums tells how many dialogs there are in the table, and what each node says.
type ProfileSums struct {
	Dialogs uint64          `json:"dialogs"`
	Nodes   []ProfileOfNode `json:"nodes"`
}

// ProfileOfNode is what a node says.
type ProfileOfNode struct {
	Cluster int32  `json:"cluster_id"`
	Node    int32  `json:"node_id"`
	Dialogs uint64 `json:"dialogs"`
}

// ProfileNode is a node that has sent counts.
type ProfileNode struct {
	Cluster int32     `json:"cluster_id"`
	Node    int32     `json:"node_id"`
	Last    time.Time `json:"last"` // when the last packet came
	Counts  int       `json:"counts"`
	Refused uint64    `json:"refused"` // counts that found no room
	Broken  uint64    `json:"broken"`  // packets that can't be read to their end
}

// Profiles counts the live dialogs in each profile, and puts what the nodes say beside that.
func (c *Client) Profiles(ctx context.Context, q ProfileQuery) (l ProfileList, err error) {
	v := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	if q.Name != "" {
		v.Set("name", q.Name)
	}
	return l, c.get(ctx, "/v1/profiles", v, &l)
}

func (b *Backend) profiles(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	q := ProfileQuery{Name: v.Get("name")}
	var err error
	if q.Limit, err = strconv.Atoi(v.Get("limit")); err != nil || q.Limit < 0 {
		refuse(w, http.StatusBadRequest, errors.New("limit: want a number of values, 0 for all"))
		return
	}
	if l, err := b.countProfiles(r.Context(), q); err == nil { // else the client has disconnected
		writeJSON(w, l)
	}
}

// maxProfileValues bounds the values that one answer counts. Callers may be able to choose them.
const maxProfileValues = 1 << 18

// profileTally counts memberships by name and value.
type profileTally struct {
	only   string
	byName map[string]map[string]*ProfileSums
	values int
	over   uint64 // that found no room
}

// of returns the sums for a name and a value; nil if they aren't asked for, or there is no room.
func (t *profileTally) of(name, value []byte) *ProfileSums {
	if t.only != "" && t.only != string(name) {
		return nil
	}
	values := t.byName[string(name)]
	sums := values[string(value)]
	switch {
	case sums != nil:
		return sums
	case t.values >= maxProfileValues:
		t.over++
		return nil
	case values == nil:
		values = map[string]*ProfileSums{}
		t.byName[string(name)] = values
	}
	sums = &ProfileSums{Nodes: []ProfileOfNode{}}
	values[string(value)] = sums
	t.values++
	return sums
}

func (b *Backend) countProfiles(ctx context.Context, q ProfileQuery) (ProfileList, error) {
	l := ProfileList{Profiles: []ProfileCounts{}, Nodes: []ProfileNode{}}
	t := profileTally{only: q.Name, byName: map[string]map[string]*ProfileSums{}}
	var d layout.View
	var name, value []byte
	live := b.reader(func(v *dialog.View) bool { return v.State().Live() })
	err := live.scan(ctx, func(v *dialog.View) error {
		if layout.Parse(v.Layout(), v.Body(), &d) != layout.NoFault {
			return nil
		}
		for p := d.Profiles(); p.Next(); {
			plain, _ := layout.Profile(p.Name)
			name, value = plain.AppendTo(name[:0]), p.Value.AppendTo(value[:0])
			if sums := t.of(name, value); sums != nil {
				sums.Dialogs++
			}
		}
		return nil
	}, func() error { return nil })
	if err != nil {
		return l, err
	}
	if b.Profiles != nil {
		for _, cluster := range b.Profiles() {
			for i := range cluster.Nodes {
				n := &cluster.Nodes[i]
				l.Nodes = append(l.Nodes, ProfileNode{cluster.Cluster, n.Node, n.Last, len(n.Counts), n.Refused, n.Broken})
				for _, c := range n.Counts {
					if sums := t.of([]byte(c.Name), []byte(c.Value)); sums != nil {
						sums.Nodes = append(sums.Nodes, ProfileOfNode{cluster.Cluster, n.Node, uint64(max(c.Dialogs, 0))})
					}
				}
			}
		}
	}
	l.NotCounted = t.over
	for _, name := range slices.Sorted(maps.Keys(t.byName)) {
		l.Profiles = append(l.Profiles, profileCounts(name, t.byName[name], q.Limit))
	}
	return l, nil
}

// profileCounts sums up the values of a profile, and lists the first of them.
func profileCounts(name string, values map[string]*ProfileSums, limit int) ProfileCounts {
	p := ProfileCounts{Name: Text(name), ProfileSums: ProfileSums{Nodes: []ProfileOfNode{}}}
	for value, sums := range values {
		p.Values = append(p.Values, ProfileValue{Text(value), *sums})
		p.Dialogs += sums.Dialogs
		for _, n := range sums.Nodes {
			i := slices.IndexFunc(p.Nodes, func(o ProfileOfNode) bool { return o.Cluster == n.Cluster && o.Node == n.Node })
			if i < 0 {
				i = len(p.Nodes)
				p.Nodes = append(p.Nodes, ProfileOfNode{Cluster: n.Cluster, Node: n.Node})
			}
			p.Nodes[i].Dialogs += n.Dialogs
		}
	}
	slices.SortFunc(p.Nodes, func(a, b ProfileOfNode) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Node, b.Node))
	})
	slices.SortFunc(p.Values, func(a, b ProfileValue) int {
		return cmp.Or(cmp.Compare(b.most(), a.most()), cmp.Compare(a.Value, b.Value))
	})
	if limit > 0 && len(p.Values) > limit {
		p.MoreValues = len(p.Values) - limit
		p.Values = p.Values[:limit]
	}
	return p
}

// most is the highest of the counts.
func (s *ProfileSums) most() uint64 {
	most := s.Dialogs
	for _, n := range s.Nodes {
		most = max(most, n.Dialogs)
	}
	return most
}
