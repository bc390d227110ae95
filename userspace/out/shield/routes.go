package shield

import "bytes"

// MaxRoutes is the size of the array that OpenSIPS parses the route set of a leg into.
const MaxRoutes = 64

// tooManyRoutes tells whether a route set has more than MaxRoutes entries.
func tooManyRoutes(set []byte) bool {
	if len(set) <= 2*MaxRoutes { // an entry and its comma: 65 don't fit
		return false
	}
	commas := bytes.Count(set, []byte{','})
	return commas >= MaxRoutes && countRoutes(set, commas) > MaxRoutes
}

// countRoutes returns the number of name-addr entries in set: one more than it has commas outside of quoted names and of
// angle brackets (RFC 3261, section 25.1, route-param). Where set is not of that form it is the most that any reader could
// find, one more than all its commas.
func countRoutes(set []byte, commas int) int {
	entries := 1
	quoted, inside := false, false
	for i := 0; i < len(set); i++ {
		switch c := set[i]; {
		case quoted:
			if c == '\\' {
				i++
			} else if c == '"' {
				quoted = false
			}
		case c == '"':
			if inside { // readers differ on a quote within brackets
				return commas + 1
			}
			quoted = true
		case c == '<':
			if inside {
				return commas + 1
			}
			inside = true
		case c == '>':
			if !inside {
				return commas + 1
			}
			inside = false
		case c == ',' && !inside:
			entries++
		}
	}
	if quoted || inside {
		return commas + 1
	}
	return entries
}
