// Package gate decides whose datagrams are taken, where no XDP program has decided before: by a list of prefixes, and by a rate for
// each source address. The XDP program applies the same rules (bpf/src/admit.h) to what comes through the rings.
//
// A source has a budget here and another one there, so that one which sends through both, because its packets are
// partly fragments, may send twice its rate.
//
// Source addresses can be forged, so that everything kept by source is bounded; what is forgotten is a source's place in
// the lists of the ones most refused, or a bucket that then begins full again.
package gate
