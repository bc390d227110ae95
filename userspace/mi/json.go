package mi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// utf8Of makes proper JSON of what a proxy writes. It copies bytes above 127 raw, so that its answer need not be UTF-8,
// and releases before 3 also copy control bytes. Each such byte becomes the escape of the code point of that number, and
// bytesOf turns it back into the byte.
func utf8Of(answer []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(answer) + len(answer)/16)
	inText, escaped := false, false
	for _, b := range answer {
		switch {
		case b >= utf8.RuneSelf, inText && b < ' ':
			fmt.Fprintf(&out, `\u%04x`, b)
			escaped = false
			continue
		case escaped:
			escaped = false
		case b == '\\' && inText:
			escaped = true
		case b == '"':
			inText = !inText
		}
		out.WriteByte(b)
	}
	return out.Bytes()
}

// bytesOf returns the bytes behind a decoded text: a code point below 256 is that byte.
func bytesOf(text string) string {
	ascii := true
	for i := range len(text) {
		ascii = ascii && text[i] < utf8.RuneSelf
	}
	if ascii {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if r < 256 {
			out.WriteByte(byte(r))
		} else {
			out.WriteRune(r) // a proxy writes none; keep it
		}
	}
	return out.String()
}

// maxNesting bounds arrays and objects within each other. Answers have at most eight.
const maxNesting = 32

// decodeJSON reads one JSON value into a tree that keeps the order of members.
func decodeJSON(answer []byte) (*Node, error) {
	d := json.NewDecoder(bytes.NewReader(utf8Of(answer)))
	d.UseNumber()
	root, err := decodeValue(d, "", 0)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.New("the answer's JSON is cut off")
	}
	if err != nil {
		return nil, fmt.Errorf("the answer's JSON: %w", err)
	}
	return &root, nil
}

func decodeValue(d *json.Decoder, name string, depth int) (Node, error) {
	n := Node{Name: name}
	token, err := d.Token()
	if err != nil {
		return n, err
	}
	if depth > maxNesting {
		return n, errors.New("nested too deep")
	}
	switch v := token.(type) {
	case json.Delim:
		for d.More() {
			child := ""
			if v == '{' {
				key, err := d.Token()
				if err != nil {
					return n, err
				}
				text, ok := key.(string)
				if !ok {
					return n, errors.New("a member without name")
				}
				child = bytesOf(text)
			}
			c, err := decodeValue(d, child, depth+1)
			if err != nil {
				return n, err
			}
			n.Children = append(n.Children, c)
		}
		_, err = d.Token()
		return n, err
	case string:
		n.Value = bytesOf(v)
	case json.Number:
		n.Value, n.Number = v.String(), true
	case bool:
		n.Value = fmt.Sprint(v)
	}
	return n, nil
}

// fromOldJSON turns the JSON of 1.11 to 2.4 into the tree that the text form has. There siblings that are a set are one
// object. Others are an array under the name of the first of them, so that the others have lost their names: behind
// dlg_counter come dialogs. A node is a text, or an object with value, attributes and children.
func fromOldJSON(n *Node) *Node {
	root := &Node{}
	for i := range n.Children {
		root.Children = append(root.Children, oldNodes(&n.Children[i])...)
	}
	return root
}

func oldNodes(n *Node) []Node {
	if !isArray(n) {
		return []Node{oldNode(n.Name, n)}
	}
	var out []Node
	for i := range n.Children {
		name := n.Name
		if name == "dlg_counter" && i > 0 {
			name = "dialog"
		}
		out = append(out, oldNode(name, &n.Children[i]))
	}
	return out
}

func oldNode(name string, n *Node) Node {
	out := Node{Name: name, Value: n.Value}
	for i := range n.Children {
		c := &n.Children[i]
		switch c.Name {
		case "value":
			out.Value = c.Value
		case "attributes":
			for _, a := range c.Children {
				out.Attrs = append(out.Attrs, Attr{a.Name, strings.TrimRight(a.Value, " ")})
			}
		case "children":
			for j := range c.Children {
				out.Children = append(out.Children, oldNodes(&c.Children[j])...)
			}
		}
	}
	return out
}

// isArray reports whether a decoded value was an array: its members have no names.
func isArray(n *Node) bool { return len(n.Children) > 0 && n.Children[0].Name == "" }
