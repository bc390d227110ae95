package live

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"binrepd/userspace/watch/control"
)

// clean makes a string from the wire fit for a frame. A rune that doesn't fit into one cell becomes an escape, too, in the
// same notation.
func (g *glyphs) clean(s string) string {
	s = control.Printable(s)
	if strings.IndexFunc(s, func(r rune) bool { return !g.shows(r) }) < 0 {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		if g.shows(r) {
			out.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			fmt.Fprintf(&out, `\x%02x`, c)
		}
	}
	return out.String()
}

// shorten cuts text to width cells in its middle, so that the beginning and the end stay, for example the port of an
// address.
func (g *glyphs) shorten(text string, width int) string {
	r := []rune(text)
	if len(r) <= width {
		return text
	}
	if width < 3 {
		return string(r[:max(width, 0)])
	}
	tail := (width - 1) / 2
	return string(r[:width-1-tail]) + string(g.ellipsis) + string(r[len(r)-tail:])
}

func cells(s string) int { return len([]rune(s)) }

// count formats a counter: exactly as long as that is readable.
func count(n uint64) string {
	if n < 1e9 {
		return humanize.Comma(int64(n))
	}
	return strings.ReplaceAll(humanize.SIWithDigits(float64(n), 2, ""), " ", "")
}

// rate formats a number per second.
func rate(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v == 0:
		return "0"
	case v < 0.05:
		return "<0.1"
	case v < 9.95:
		return fmt.Sprintf("%.1f", v)
	}
	return count(uint64(math.Round(v)))
}

// span formats a duration to the second, shorter if it is long, and "0s" if it is negative.
func span(from, to time.Time) string {
	d := max(to.Sub(from), 0).Truncate(time.Second)
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return d.String()
}

// micros formats microseconds.
func micros(us float64) string { return control.Micros(us) }

// percent formats a share. A nonzero share is never shown as 0.
func percent(share float64) string {
	if share > 0 && share < 0.01 {
		return "<1 %"
	}
	return fmt.Sprintf("%.0f %%", math.Floor(share*100))
}

// bar draws a share from 0 to 1 in width cells. Only 0 looks empty, and only 1 looks full.
func (g *glyphs) bar(share float64, width int) string {
	share = min(max(share, 0), 1)
	n := int(share * float64(width))
	if share > 0 {
		n = max(n, 1)
	}
	return strings.Repeat(string(g.full), n) + strings.Repeat(string(g.rest), width-n)
}
