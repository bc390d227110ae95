package shield

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// SocketRewrite replaces one socket of a proxy by another. Both are in the form in which OpenSIPS sends them:
// proto:address:port, an IPv6 address in brackets and written out, as in udp:[2001:DB8:0:0:0:0:0:1]:5060. Old may be
// proto:tag, as proxies of 3.0 and later send a socket that has a tag.
type SocketRewrite struct {
	Old, New string
}

// String returns the rule as ParseRewrite reads it.
func (r SocketRewrite) String() string { return r.Old + "=" + r.New }

// ParseRewrite reads a rule "udp:10.0.0.1:5060=udp:10.0.0.2:5060". An IPv6 address may be in any form.
func ParseRewrite(text string) (SocketRewrite, error) {
	left, right, ok := strings.Cut(text, "=")
	if !ok {
		return SocketRewrite{}, fmt.Errorf("rewrite rule %q: want OLD=NEW, as in udp:10.0.0.1:5060=udp:10.0.0.2:5060", text)
	}
	var r SocketRewrite
	var err error
	if r.Old, err = left, nil; !isTagged(left) {
		r.Old, err = canonicalSocket(left)
	}
	if err == nil {
		r.New, err = canonicalSocket(right)
	}
	if err != nil {
		return SocketRewrite{}, fmt.Errorf("rewrite rule %q: %w", text, err)
	}
	return r, nil
}

// ParseRewrites reads a list of rules, of which no two may be for the same socket.
func ParseRewrites(texts []string) ([]SocketRewrite, error) {
	var rules []SocketRewrite
	for _, text := range texts {
		r, err := ParseRewrite(text)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(rules, func(o SocketRewrite) bool { return o.Old == r.Old }) {
			return nil, fmt.Errorf("rewrite rule %q: there is already a rule for %s", text, r.Old)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// isTagged tells whether a socket is given by its tag: proto:tag, where the tag is no number and no address.
func isTagged(text string) bool {
	proto, tag, _ := strings.Cut(text, ":")
	lower := func(r rune) bool { return r >= 'a' && r <= 'z' || r == '_' }
	letter := func(r rune) bool { return lower(r) || r >= 'A' && r <= 'Z' }
	plain := func(r rune) bool { return letter(r) || r >= '0' && r <= '9' || r == '.' || r == '-' }
	all := func(s string, is func(rune) bool) bool {
		return s != "" && strings.IndexFunc(s, func(r rune) bool { return !is(r) }) < 0
	}
	return all(proto, lower) && all(tag, plain) && strings.IndexFunc(tag, letter) >= 0
}

var protocols = [...]string{"udp", "tcp", "tls", "sctp"}

// canonicalSocket returns a socket in OpenSIPS's form.
func canonicalSocket(text string) (string, error) {
	proto, rest, ok := strings.Cut(text, ":")
	proto = strings.ToLower(proto)
	if !ok || !slices.Contains(protocols[:], proto) {
		return "", fmt.Errorf("socket %q: want udp:, tcp:, tls: or sctp: in front", text)
	}
	host, port, err := splitPort(rest)
	if err != nil {
		return "", fmt.Errorf("socket %q: %w", text, err)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return "", fmt.Errorf("socket %q: %q is no IP address", text, host)
	}
	if addr.Is4() {
		return fmt.Sprintf("%s:%s:%d", proto, addr, port), nil
	}
	var groups []string
	for b := addr.As16(); len(groups) < 8; {
		i := 2 * len(groups)
		groups = append(groups, fmt.Sprintf("%X", uint16(b[i])<<8|uint16(b[i+1])))
	}
	return fmt.Sprintf("%s:[%s]:%d", proto, strings.Join(groups, ":"), port), nil
}

func splitPort(text string) (host string, port uint16, err error) {
	at := strings.LastIndexByte(text, ':')
	if at < 0 {
		return "", 0, errors.New("the port is missing")
	}
	host, number := text[:at], text[at+1:]
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q is no port", number)
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(inner, ":") {
			return "", 0, fmt.Errorf("%q is no IPv6 address in brackets", host)
		}
		host = inner
	} else if strings.Contains(host, ":") {
		return "", 0, fmt.Errorf("an IPv6 address goes in brackets, as in udp:[%s]:%d", host, n)
	}
	return host, uint16(n), nil
}
