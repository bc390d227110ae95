package membership

// number is the last accepted sequence number of one kind of message of one node, and its time in Unix seconds.
// OpenSIPS counts from 0 in each life of a process; -1 is none yet.
type number struct {
	seq  int32
	time uint32
}

// The kinds of messages that are counted, as index of node.numbers.
const (
	linkNumber = iota
	topologyNumber
	capsNumber
	numbersOfNode
)

// freshness tells how a numbered message relates to those before it.
type freshness uint8

const (
	isFresh freshness = iota
	isNewLife
	isRepeated
	isOld // from before the node's restart
)

// judge decides about a message with a sequence number and a time. direct is set for one that no other node passed
// on.
//
// Within a life both grow together, so a lower number with a later time comes from a new life, even if the message
// with number 0 never arrives. Two processes of the node may number and stamp in different order across the change
// of a second, so without another sign the time of a lower number must be two seconds later. A sign (suspect) is a
// link that was lost, a closed connection, or a ping of a node that looks for us.
func (n *node) judge(kind int, seq int32, time uint32, direct bool) freshness {
	last := &n.numbers[kind]
	switch {
	case seq > last.seq:
		if time < n.lifeBegan {
			return isOld
		}
		*last = number{seq, time}
		n.suspect = false
		return isFresh
	case seq == last.seq && time == last.time:
		return isRepeated
	case seq == 0 && time > last.time,
		// The clock of a restarted node may be behind the one of its last life.
		seq == 0 && n.suspect && direct && last.seq > 0,
		seq > 0 && time > last.time+1,
		seq > 0 && time > last.time && n.suspect:
		n.beginLife(time)
		*last = number{seq, time}
		return isNewLife
	}
	return isRepeated
}

// beginLife forgets what the last life of the node said about itself.
func (n *node) beginLife(time uint32) {
	for i := range n.numbers {
		n.numbers[i] = number{seq: -1}
	}
	n.lifeBegan = time
	n.lives++
	n.suspect = false
	n.ownCaps = false
	n.linksKnown = noLinks
	for i := range n.caps {
		n.caps[i].synced = false
	}
}
