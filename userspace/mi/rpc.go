package mi

import (
	"bytes"
	"fmt"
	"strconv"
)

// Param is an argument of a command. The text form sends values in their order; JSON-RPC sends them by name.
type Param struct {
	Name  string
	Value string
	// Number sends the value as a JSON number, List as an array of texts.
	Number bool
	List   []string
}

// number is an argument that JSON-RPC wants as a number.
func number(name string, value int) Param {
	return Param{Name: name, Value: strconv.Itoa(value), Number: true}
}

// requestRPC writes a call. It is always an object with a method: anything else ends the process behind the FIFO.
// Bytes above 127 are sent as they are, as the proxy keeps them.
func requestRPC(id int, command string, params []Param) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"jsonrpc":"2.0","id":%d,"method":%s`, id, quote(command))
	for i, p := range params {
		if i == 0 {
			b.WriteString(`,"params":{`)
		} else {
			b.WriteByte(',')
		}
		b.WriteString(quote(p.Name) + ":")
		switch {
		case p.List != nil:
			b.WriteByte('[')
			for j, v := range p.List {
				if j > 0 {
					b.WriteByte(',')
				}
				b.WriteString(quote(v))
			}
			b.WriteByte(']')
		case p.Number:
			b.WriteString(p.Value)
		default:
			b.WriteString(quote(p.Value))
		}
	}
	if len(params) > 0 {
		b.WriteByte('}')
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quote writes a JSON text. json.Marshal would replace bytes that aren't UTF-8.
func quote(text string) string {
	out := []byte{'"'}
	for i := range len(text) {
		switch b := text[i]; {
		case b == '"' || b == '\\':
			out = append(out, '\\', b)
		case b < ' ':
			out = fmt.Appendf(out, `\u%04x`, b)
		default:
			out = append(out, b)
		}
	}
	return string(append(out, '"'))
}

// parseRPC returns the result of a JSON-RPC answer. The error is an [Error] if the proxy refused.
func parseRPC(answer []byte, id int) (*Node, error) {
	answer = bytes.TrimLeft(answer, " \t\r\n")
	if len(answer) == 0 || answer[0] != '{' {
		// Datagrams answer what they can't parse or send with a line of text.
		if _, err := parseText(answer); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("no JSON-RPC: the answer begins with %.40q", answer)
	}
	root, err := decodeJSON(answer)
	if err != nil {
		return nil, err
	}
	if failed := root.Child("error"); failed.Name != "" {
		code, _ := strconv.Atoi(failed.text("code"))
		return nil, &Error{Code: code, Message: failed.text("message"), Data: failed.text("data")}
	}
	if got := root.text("id"); got != strconv.Itoa(id) {
		return nil, fmt.Errorf("the answer has id %.20q, the request had %d", got, id)
	}
	for i := range root.Children {
		if root.Children[i].Name == "result" {
			return &root.Children[i], nil
		}
	}
	return nil, fmt.Errorf("no JSON-RPC: the answer begins with %.40q", answer)
}
