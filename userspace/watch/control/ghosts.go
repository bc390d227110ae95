package control

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/cluster/member"
)

// Reasons to suspect that a live dialog is a ghost: a call that has ended but whose deletion was lost.
const (
	GhostSilent     = "silent"      // no event for many times the usual length of a call, or for GhostQuery.Silent
	GhostBefore     = "before"      // no event since GhostQuery.Before
	GhostTimeout    = "timeout"     // past its timeout, and kept only because of the grace time
	GhostTwoSources = "two_sources" // another live dialog of the same Call-ID comes from another source
	GhostDropped    = "dropped"     // its node accepted it before it was synced, and may have dropped it at the end of that
)

const (
	// ghostLeast is the minimum time without an event for a suspect, whatever the length of calls is.
	ghostLeast = 5 * time.Minute
	// ghostUnknown is the time without an event for a suspect where the length of calls isn't known.
	ghostUnknown = 2 * time.Hour
	// ghostSample is how many lengths of ended calls, chosen at random, the median of a source is computed from, and ghostFew how many are
	// too few.
	ghostSample, ghostFew = 1 << 12, 10
)

// GhostQuery says what makes a dialog a suspect.
type GhostQuery struct {
	// Times the median length of an ended call of the same source without an event make a suspect, but at least 5 minutes. Ended calls are
	// those that are remembered. If a source has too few, those of all sources count, and if these are too few, 2 hours.
	Times float64
	// Silent, if it isn't 0, is used in place of that.
	Silent time.Duration
	// Origin, if it isn't the zero value, restricts the search to that source. With port 0 it is a host with any port.
	Origin netip.AddrPort
	// Before, if it isn't zero, makes a dialog without an event since then a suspect. It is for a source that was restarted at that time.
	Before time.Time
}

func (q *GhostQuery) values() url.Values {
	v := url.Values{"times": {strconv.FormatFloat(q.Times, 'g', -1, 64)}}
	if q.Silent != 0 {
		v.Set("silent", q.Silent.String())
	}
	if q.Origin.IsValid() {
		v.Set("origin", q.Origin.String())
	}
	if !q.Before.IsZero() {
		v.Set("before", strconv.FormatInt(q.Before.Unix(), 10))
	}
	return v
}

func parseGhostQuery(v url.Values) (q GhostQuery, err error) {
	if q.Times, err = strconv.ParseFloat(v.Get("times"), 64); err != nil || !(q.Times >= 1 && q.Times <= 1e6) {
		return q, errors.New("times: want a number from 1 to 1000000")
	}
	if text := v.Get("silent"); text != "" {
		if q.Silent, err = time.ParseDuration(text); err != nil || q.Silent <= 0 {
			return q, errors.New("silent: want a duration above 0")
		}
	}
	if text := v.Get("origin"); text != "" {
		if q.Origin, err = netip.ParseAddrPort(text); err != nil {
			return q, fmt.Errorf("origin: %w", err)
		}
	}
	if text := v.Get("before"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return q, errors.New("before: want Unix seconds")
		}
		q.Before = time.Unix(seconds, 0)
	}
	return q, nil
}

// chooses reports whether the search is about a source.
func (q *GhostQuery) chooses(origin netip.AddrPort) bool {
	return !q.Origin.IsValid() || origin.Addr() == q.Origin.Addr() && (q.Origin.Port() == 0 || origin.Port() == q.Origin.Port())
}

// Ghost is a suspected ghost.
type Ghost struct {
	CallID    Text     `json:"callid"`
	CallerTag Text     `json:"caller_tag"`
	CalleeTag Text     `json:"callee_tag"`
	State     uint8    `json:"state"`
	Start     uint32   `json:"timestart"`
	Timeout   uint32   `json:"timeout"`
	Updated   uint32   `json:"updated"`
	Origin    string   `json:"origin"`
	Reasons   []string `json:"reasons"`
	// Removed is true if the dialog was ended, as by a deletion. With remove it is false if an event came at the last
	// moment.
	Removed bool `json:"removed"`

	name dialog.Name
	from netip.AddrPort
}

// GhostSummary is the result of a search for ghosts.
type GhostSummary struct {
	Dialogs  uint64        `json:"dialogs"` // live ones, of the sources that were searched
	Suspects uint64        `json:"suspects"`
	Removed  uint64        `json:"removed"`
	Sources  []GhostSource `json:"sources"`
}

// GhostSource tells how long a silence is suspicious for one source.
type GhostSource struct {
	Origin  string  `json:"origin"`
	Dialogs uint64  `json:"dialogs"`              // live ones
	Ended   uint64  `json:"ended"`                // remembered ended calls of known length
	Median  float64 `json:"median_ended_seconds"` // their median length, 0 if there is none
	Silent  float64 `json:"silent_seconds"`       // a dialog without an event for longer is a suspect
}

type ghostLine struct {
	Ghost   *Ghost        `json:"ghost,omitempty"`
	Summary *GhostSummary `json:"summary,omitempty"`
}

// Ghosts calls each for every suspect: a live dialog that the query describes, or that has another reason. With remove it ends them, in
// the appliance and at its backups.
func (c *Client) Ghosts(ctx context.Context, q GhostQuery, remove bool, each func(*Ghost) error) (s GhostSummary, err error) {
	method := http.MethodGet
	if remove {
		method = http.MethodPost
	}
	resp, err := c.send(ctx, method, "/v1/ghosts", q.values(), nil)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, maxLine)
	for in.Scan() {
		var line ghostLine
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			return s, fmt.Errorf("answer of %s: %w", c.path, err)
		}
		if line.Summary != nil {
			return *line.Summary, nil
		}
		if line.Ghost != nil {
			if err := each(line.Ghost); err != nil {
				return s, err
			}
		}
	}
	return s, fmt.Errorf("list cut off: %w", errors.Join(in.Err(), errCut))
}

func (b *Backend) ghosts(w http.ResponseWriter, r *http.Request) {
	query, err := parseGhostQuery(r.URL.Query())
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	now := time.Now
	if b.Now != nil {
		now = b.Now
	}
	h := ghostSearch{backend: b, now: now().Unix(), query: query, doubts: b.doubts()}
	if h.measure(r.Context()) != nil {
		return
	}
	out := newLines(w)
	// An error means that the client has disconnected. Then nothing more is removed.
	err = h.run(r.Context(), func(g *Ghost) error {
		if r.Method == http.MethodPost {
			was := g.Updated
			if g.Removed = b.End(g.name, func(v *dialog.View) bool { return v.Updated() == was }); g.Removed {
				h.summary.Removed++
			}
		}
		return out.writeAll(1, func(int) any { return ghostLine{Ghost: g} })
	})
	if err == nil {
		_ = out.write(ghostLine{Summary: &h.summary})
	}
}

// ghostSearch is one search for ghosts.
type ghostSearch struct {
	backend *Backend
	now     int64
	query   GhostQuery
	summary GhostSummary
	silent  map[uint16]float64 // how long a silence is suspicious, by source
	doubts  []member.Doubt

	found []*Ghost
	// callID is the Call-ID of the last visited dialog, origin its source, and noted whether it is in mixed. A scan
	// visits the dialogs of a Call-ID one after another.
	callID []byte
	origin uint16
	noted  bool
	mixed  []string // Call-IDs with dialogs from several sources
}

// lengths are those of ended calls, of one source or of all.
type lengths struct {
	live, ended uint64
	sample      []int64
}

func (l *lengths) add(length int64) {
	if l.ended++; len(l.sample) < ghostSample {
		l.sample = append(l.sample, length)
	} else if i := rand.Uint64N(l.ended); i < ghostSample { // gives every length the same chance to be in the sample
		l.sample[i] = length
	}
}

// median returns the median length; 0 if there is none. It sorts the sample.
func (l *lengths) median() float64 {
	if len(l.sample) == 0 {
		return 0
	}
	slices.Sort(l.sample)
	return float64(l.sample[len(l.sample)/2])
}

// measure computes how long a silence is suspicious. It goes by ended calls: among live ones, ghosts would raise the estimate themselves.
func (h *ghostSearch) measure(ctx context.Context) error {
	var all lengths
	sources := map[uint16]*lengths{}
	measure := h.backend.reader(func(v *dialog.View) bool {
		l := sources[v.Origin()]
		if l == nil {
			l = new(lengths)
			sources[v.Origin()] = l
		}
		switch {
		case v.State().Live():
			l.live++
		case v.Tombstone() && v.Start() > 0:
			length := max(int64(v.Updated())-int64(v.Start()), 0)
			l.add(length)
			all.add(length)
		}
		return false // nothing to copy
	})
	err := measure.scan(ctx, func(*dialog.View) error { return nil }, func() error { return nil })
	h.silent, h.summary.Sources = map[uint16]float64{}, []GhostSource{}
	for n, l := range sources {
		silent := h.query.Silent.Seconds()
		if silent == 0 {
			switch {
			case l.ended >= ghostFew:
				silent = h.query.Times * l.median()
			case all.ended >= ghostFew:
				silent = h.query.Times * all.median()
			default:
				silent = ghostUnknown.Seconds()
			}
			silent = max(silent, ghostLeast.Seconds())
		}
		h.silent[n] = silent
		origin := h.backend.Origin(n)
		if l.live == 0 || !h.query.chooses(origin) {
			continue
		}
		h.summary.Dialogs += l.live
		h.summary.Sources = append(h.summary.Sources, GhostSource{
			Origin: SenderName(h.backend.sender(n)), Dialogs: l.live, Ended: l.ended, Median: l.median(), Silent: silent,
		})
	}
	slices.SortFunc(h.summary.Sources, func(a, b GhostSource) int { return cmp.Compare(a.Origin, b.Origin) })
	return err
}

// run calls each for every suspect, without holding a lock.
func (h *ghostSearch) run(ctx context.Context, each func(*Ghost) error) error {
	return h.backend.reader(h.look).scan(ctx, func(v *dialog.View) error {
		h.found = append(h.found, h.render(v, h.judge(v)))
		return nil
	}, func() error {
		for _, callID := range h.mixed {
			h.compare(callID)
		}
		for _, g := range h.found {
			h.summary.Suspects++
			if err := each(g); err != nil {
				return err
			}
		}
		h.found, h.mixed, h.callID = h.found[:0], h.mixed[:0], h.callID[:0]
		return nil
	})
}

// look reports whether an entry is a suspect by itself, and notes Call-IDs with dialogs from several sources. It runs
// under the shard's lock.
func (h *ghostSearch) look(v *dialog.View) bool {
	if !v.State().Live() {
		return false
	}
	callID, _, _ := v.Names()
	switch {
	case !bytes.Equal(callID, h.callID):
		h.callID, h.origin, h.noted = append(h.callID[:0], callID...), v.Origin(), false
	case v.Origin() != h.origin && !h.noted:
		h.mixed, h.noted = append(h.mixed, string(callID)), true
	}
	return (h.isSilent(v) || h.isBefore(v) || h.over(v) || h.dropped(v)) && h.query.chooses(h.backend.Origin(v.Origin()))
}

func (h *ghostSearch) isSilent(v *dialog.View) bool {
	silent, known := h.silent[v.Origin()]
	return known && float64(h.now-int64(v.Updated())) > silent
}

func (h *ghostSearch) isBefore(v *dialog.View) bool {
	return !h.query.Before.IsZero() && int64(v.Updated()) < h.query.Before.Unix()
}

func (h *ghostSearch) over(v *dialog.View) bool { return h.now > int64(v.Timeout()) }

func (h *ghostSearch) judge(v *dialog.View) (reasons []string) {
	if h.isSilent(v) {
		reasons = append(reasons, GhostSilent)
	}
	if h.isBefore(v) {
		reasons = append(reasons, GhostBefore)
	}
	if h.over(v) {
		reasons = append(reasons, GhostTimeout)
	}
	if h.dropped(v) {
		reasons = append(reasons, GhostDropped)
	}
	return reasons
}

// compare checks the dialogs of a Call-ID that come from several sources. The one with the latest event is the real
// call. Those from other sources are left over from before.
func (h *ghostSearch) compare(callID string) {
	var family []*Ghost
	live := h.backend.reader(func(v *dialog.View) bool { return v.State().Live() })
	_ = live.call([]byte(callID), func(v *dialog.View) error {
		family = append(family, h.render(v, nil))
		return nil
	})
	if len(family) == 0 {
		return
	}
	last := slices.MaxFunc(family, func(a, b *Ghost) int { return cmp.Compare(a.Updated, b.Updated) })
	for _, g := range family {
		if g.Origin == last.Origin || !h.query.chooses(g.from) {
			continue
		}
		i := slices.IndexFunc(h.found, func(f *Ghost) bool { return f.name.Equal(g.name) })
		if i < 0 {
			i = len(h.found)
			h.found = append(h.found, g)
		}
		h.found[i].Reasons = append(h.found[i].Reasons, GhostTwoSources)
	}
}

func (h *ghostSearch) render(v *dialog.View, reasons []string) *Ghost {
	callID, from, to := v.Names()
	return &Ghost{
		CallID: Text(callID), CallerTag: Text(from), CalleeTag: Text(to), State: uint8(v.State()),
		Start: v.Start(), Timeout: v.Timeout(), Updated: v.Updated(), Origin: SenderName(h.backend.sender(v.Origin())),
		Reasons: reasons, name: v.Name(), from: h.backend.Origin(v.Origin()),
	}
}
