package appliance

import (
	"binrepd/dialog"
	"binrepd/userspace/cluster/member"
)

// maxSuspects bounds the list of one look. Those beyond it are found by the next one.
const maxSuspects = 1 << 16

// judge finds the calls that a node of a cluster may have dropped, and ends them.
type judge struct{ a *Appliance }

var _ member.Judge = judge{}

// Suspects implements member.Judge.
func (j judge) Suspects(d member.Doubt) (list []member.Suspect) {
	j.scan(d.Cluster, d.Node, func(v *dialog.View) {
		if len(list) < maxSuspects && d.Covers(v.Start(), v.Updated()) {
			list = append(list, member.Suspect{Name: v.Name(), Updated: v.Updated()})
		}
	})
	return list
}

// Absent implements member.Judge.
func (j judge) Absent(a *member.Absence) (list []member.Suspect, covered int) {
	j.scan(a.Cluster, a.Node, func(v *dialog.View) {
		if !a.Covers(v.Updated()) {
			return
		}
		covered++
		if callID, _, _ := v.Names(); len(list) < maxSuspects && a.Lacks(callID) {
			list = append(list, member.Suspect{Name: v.Name(), Updated: v.Updated()})
		}
	})
	return list, covered
}

// scan calls each with the live dialogs whose last change came from the node.
func (j judge) scan(cluster, node int32, each func(v *dialog.View)) {
	from := map[uint16]bool{} // origins that are the node, and others
	var cur dialog.Cursor
	for more := true; more; {
		more = j.a.table.Scan(&cur, func(v *dialog.View) {
			if !v.State().Live() {
				return
			}
			is, known := from[v.Origin()]
			if !known {
				s := j.a.engine.Sender(v.Origin())
				is = int32(s.Cluster) == cluster && int32(s.Node) == node
				from[v.Origin()] = is
			}
			if is {
				each(v)
			}
		})
	}
}

// EndSuspects implements member.Judge.
func (j judge) EndSuspects(list []member.Suspect) (ended int) {
	for _, s := range list {
		if j.a.end(s.Name, func(v *dialog.View) bool { return v.Updated() == s.Updated }) {
			ended++
			j.a.dropped.Add(1)
		}
	}
	return ended
}

// Doubts returns the nodes of all clusters that may have dropped calls.
func (a *Appliance) Doubts() (list []member.Doubt) {
	for _, m := range a.joined() {
		list = append(list, m.Doubts()...)
	}
	return list
}
