// Package gate decides which datagrams are taken if no XDP program has decided before. It uses a list of prefixes and a
// rate for each source address. The XDP program applies the same rules (bpf/src/admit.h) to what comes through the
// rings.
//
// The gate and the XDP program count separately. So a source whose packets take both ways, because some are fragments,
// may send twice its rate.
//
// Source addresses can be forged, so all state per source is bounded. When the state is full, a source may lose its
// place in the lists of refused sources, or its bucket, which then starts full again.
package gate
