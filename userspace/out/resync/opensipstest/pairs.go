package opensipstest

import (
	"slices"
	"strings"
)

type pair struct{ name, value string }

// readPairs reads variables or profiles as the binaries do. A separator counts unless a backslash precedes it that no
// backslash precedes. spoilt: a pair without a name, without '#' or with two made the reader go astray.
func readPairs(list string) (pairs []pair, spoilt bool) {
	begin, hash := 0, -1
	for i := range len(list) {
		if list[i] != '#' && list[i] != '|' {
			continue
		}
		if i >= 2 && list[i-1] == '\\' && list[i-2] != '\\' || i == 1 && list[0] == '\\' {
			continue
		}
		switch {
		case list[i] == '#' && (hash >= 0 || i == begin), list[i] == '|' && hash < 0:
			return pairs, true
		case list[i] == '#':
			hash = i
		default:
			pairs = append(pairs, pair{unescape(list[begin:hash]), unescape(list[hash+1 : i])})
			begin, hash = i+1, -1
		}
	}
	return pairs, false // a last pair without its '|' is dropped
}

func unescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\#`, `#`, `\|`, `|`).Replace(s)
}

func writePairs(pairs []pair) string {
	escape := strings.NewReplacer(`\`, `\\`, `#`, `\#`, `|`, `\|`)
	var b strings.Builder
	for _, p := range pairs {
		b.WriteString(escape.Replace(p.name) + "#" + escape.Replace(p.value) + "|")
	}
	return b.String()
}

// mergeVars adds variables and replaces those that are there; none ever goes. An empty value is skipped.
func mergeVars(have, came []pair) []pair {
	var fresh []pair
	for _, p := range came {
		if p.value == "" {
			continue
		}
		if i := slices.IndexFunc(have, func(h pair) bool { return h.name == p.name }); i >= 0 {
			have[i].value = p.value
		} else if i := slices.IndexFunc(fresh, func(h pair) bool { return h.name == p.name }); i >= 0 {
			fresh[i].value = p.value
		} else {
			fresh = append(fresh, p)
		}
	}
	return append(fresh, have...)
}

// mergeProfiles adds profiles; one that is there by name is left alone, even with another value.
func mergeProfiles(have, came []pair) []pair {
	var fresh []pair
	for _, p := range came {
		if !slices.ContainsFunc(have, func(h pair) bool { return h.name == p.name }) {
			fresh = append(fresh, p)
		}
	}
	return append(fresh, have...)
}
