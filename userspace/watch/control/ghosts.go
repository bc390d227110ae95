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
	"net/url"
	"slices"
	"strconv"
	"time"

	"binrepd/dialog"
)

// Reasons to suspect that a live dialog is a ghost: a call that has ended but whose deletion was lost.
const (
	GhostSilent     = "silent"      // no event for many times the usual length of a call
	GhostTimeout    = "timeout"     // past its timeout, and kept only because of the grace time
	GhostTwoSources = "two_sources" // another live dialog of the same Call-ID comes from another source
)

const (
	// ghostLeast is the minimum time without an event for a suspect, whatever the median age is. Shortly after the
	// start all dialogs are young.
	ghostLeast = 5 * time.Minute
	// ghostSample is how many ages, chosen at random, the median is computed from.
	ghostSample = 1 << 16
)

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
}

// GhostSummary is the result of a search for ghosts.
type GhostSummary struct {
	Dialogs   uint64  `json:"dialogs"` // live ones
	Suspects  uint64  `json:"suspects"`
	Removed   uint64  `json:"removed"`
	MedianAge float64 `json:"median_age_seconds"` // of the live dialogs
	Silent    float64 `json:"silent_seconds"`     // a dialog without an event for this long is a suspect
}

type ghostLine struct {
	Ghost   *Ghost        `json:"ghost,omitempty"`
	Summary *GhostSummary `json:"summary,omitempty"`
}

// Ghosts calls each for every suspect: a live dialog that had no event for times the median age of a dialog, or that
// has another reason. With remove it ends them, in the appliance and at its backups.
func (c *Client) Ghosts(ctx context.Context, times float64, remove bool, each func(*Ghost) error) (s GhostSummary, err error) {
	method := http.MethodGet
	if remove {
		method = http.MethodPost
	}
	resp, err := c.send(ctx, method, "/v1/ghosts", url.Values{"times": {strconv.FormatFloat(times, 'g', -1, 64)}}, nil)
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
	times, err := strconv.ParseFloat(r.URL.Query().Get("times"), 64)
	if err != nil || !(times >= 1 && times <= 1e6) {
		refuse(w, http.StatusBadRequest, errors.New("times: want a number from 1 to 1000000"))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	now := time.Now
	if b.Now != nil {
		now = b.Now
	}
	h := ghostSearch{backend: b, now: now().Unix()}
	if h.measure(r.Context(), times) != nil {
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
	summary GhostSummary

	found []*Ghost
	// callID is the Call-ID of the last visited dialog, origin its source, and noted whether it is in mixed. A scan
	// visits the dialogs of a Call-ID one after another.
	callID []byte
	origin uint16
	noted  bool
	mixed  []string // Call-IDs with dialogs from several sources
}

// measure computes how long a silence is suspicious.
func (h *ghostSearch) measure(ctx context.Context, times float64) error {
	var ages []int64
	n := 0
	measure := h.backend.reader(func(v *dialog.View) bool {
		if !v.State().Live() {
			return false
		}
		age := max(h.now-int64(v.Start()), 0)
		if n++; len(ages) < ghostSample {
			ages = append(ages, age)
		} else if i := rand.IntN(n); i < ghostSample { // gives every age the same chance to be in the sample
			ages[i] = age
		}
		return false // nothing to copy
	})
	err := measure.scan(ctx, func(*dialog.View) error { return nil }, func() error { return nil })
	if len(ages) > 0 {
		slices.Sort(ages)
		h.summary.MedianAge = float64(ages[len(ages)/2])
	}
	h.summary.Dialogs = uint64(n)
	h.summary.Silent = max(times*h.summary.MedianAge, ghostLeast.Seconds())
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
	return h.silent(v) || h.over(v)
}

func (h *ghostSearch) silent(v *dialog.View) bool {
	return float64(h.now-int64(v.Updated())) > h.summary.Silent
}

func (h *ghostSearch) over(v *dialog.View) bool { return h.now > int64(v.Timeout()) }

func (h *ghostSearch) judge(v *dialog.View) (reasons []string) {
	if h.silent(v) {
		reasons = append(reasons, GhostSilent)
	}
	if h.over(v) {
		reasons = append(reasons, GhostTimeout)
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
		if g.Origin == last.Origin {
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
		Start: v.Start(), Timeout: v.Timeout(), Updated: v.Updated(), Origin: senderName(h.backend.sender(v.Origin())),
		Reasons: reasons, name: v.Name(),
	}
}
