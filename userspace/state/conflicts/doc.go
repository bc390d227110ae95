// Package conflicts finds events of nodes that act for a sharing tag although another node has claimed it since. That
// happens after a split of a cluster: each side takes itself for active, and both change the same calls.
//
//	SHTAG_ACTIVE --Claim--> Book --Claims--> one look per batch (engine)
//	                          ^                       | Judge, for events of nodes that have claimed a tag which was moved
//	                          '--------- Note --------'
//
// The node that claimed a tag last is its newer claimant. Nodes that claimed it before are older claimants. In normal
// operation an older claimant is in backup: it tells of calls that begin and end through it, but it sends no UPDATED and
// no VALUE (specification of generation 2, answers, 6.3). So these two prove that it still acts for the tag. For a minute
// after such a proof, what begins and ends at that node counts, too.
//
// What comes within a second after a claim proves nothing: it may have been on its way.
package conflicts
