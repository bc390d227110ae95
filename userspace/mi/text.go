package mi

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// maxDepth bounds the tabs in front of a node. Answers have at most six.
const maxDepth = 16

// parseText reads the text form of 1.10 to 2.4: a line with code and reason, then one line a node, whose depth is its
// number of tabs. Nothing in it is escaped. The error is an [Error] if the proxy refused.
func parseText(answer []byte) (*Node, error) {
	first, rest, _ := bytes.Cut(answer, []byte("\n"))
	code, reason, _ := strings.Cut(string(bytes.TrimRight(first, "\r")), " ")
	n, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 {
		return nil, fmt.Errorf("no answer of MI: it begins with %.40q", first)
	}
	if n/100 != 2 {
		return nil, &Error{Code: n, Message: reason}
	}
	root := &Node{}
	var path [maxDepth + 1]*Node
	path[0] = root
	depth := 0
	for line := range bytes.SplitSeq(rest, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		tabs := 0
		for tabs < len(line) && line[tabs] == '\t' {
			tabs++
		}
		name, _, _ := bytes.Cut(line[tabs:], []byte("::"))
		if depth > 1 && (tabs > depth || tabs == 0 && string(name) != path[1].Name) {
			// A value with a line feed in it: only variables have one, and they stand below the nodes of the top.
			path[depth].Value += "\n" + string(line)
			continue
		}
		if tabs > depth || tabs >= maxDepth {
			return nil, fmt.Errorf("the answer's tree is broken at %.60q", line)
		}
		parent := path[tabs]
		parent.Children = append(parent.Children, textNode(string(line[tabs:])))
		depth = tabs + 1
		path[depth] = &parent.Children[len(parent.Children)-1]
	}
	return root, nil
}

// attributes returns the names of the attributes that a node of that name has. In all other nodes an = belongs to the
// value.
func attributes(node string) []string {
	switch node {
	case "dialog":
		return []string{"hash", "dialog_id", "ID"}
	case "Domain":
		return []string{"table", "hash_size", "records"}
	case "Contact":
		return []string{"Q"}
	case "Node":
		return []string{"DB_ID", "URL", "Enabled", "Link_state", "Next_hop", "Description", "Neighbours"}
	case "Capability", "Tag":
		return []string{"State"}
	}
	return nil
}

// textNode reads name:: value attr=value ... Values of attributes aren't quoted and may hold blanks, so each ends where
// the next known name begins.
func textNode(line string) Node {
	name, value, found := strings.Cut(line, "::")
	if !found {
		return Node{Value: line}
	}
	n := Node{Name: name, Value: strings.TrimPrefix(value, " ")}
	names := attributes(name)
	begin, attr := nextAttr(n.Value, names)
	if attr == "" {
		return n
	}
	rest := n.Value[begin:]
	n.Value = strings.TrimRight(n.Value[:begin], " ")
	for attr != "" {
		rest = rest[len(" ")+len(attr)+len("="):]
		end, next := nextAttr(rest, names)
		n.Attrs = append(n.Attrs, Attr{attr, strings.TrimRight(rest[:end], " ")})
		rest, attr = rest[end:], next
	}
	return n
}

// nextAttr returns where the first of the named attributes begins, with the blank in front of it, and its name; or the
// end of the text and "".
func nextAttr(text string, names []string) (begin int, attr string) {
	begin = len(text)
	for _, a := range names {
		if at := strings.Index(text, " "+a+"="); at >= 0 && at < begin {
			begin, attr = at, a
		}
	}
	return begin, attr
}

// argument writes an argument so that the proxy doesn't parse it: it would cut a::b into name and value. An empty name
// in front of the value prevents that. A quotation mark can't be sent; ErrUnsendable says so.
func argument(value string) (string, error) {
	if strings.ContainsAny(value, "\"\n\r") {
		return "", ErrUnsendable
	}
	if strings.Contains(value, "::") {
		return "::" + value, nil
	}
	return value, nil
}
