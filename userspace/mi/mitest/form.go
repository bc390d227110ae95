package mitest

import (
	"fmt"
	"strconv"
	"strings"

	"binrepd/userspace/mi"
)

// form writes answers as a release does.
type form struct {
	dialect mi.Dialect
	release string
	full    bool // with variables and profiles
}

func (f form) version(id int) string {
	name := "OpenSIPS (" + f.release + ".8 (x86_64/linux))"
	switch f.dialect {
	case mi.RPC:
		return fmt.Sprintf(`{"jsonrpc":"2.0","result":{"Server":"%s"},"id":%d}`, name, id)
	case mi.OldJSON:
		return `{"Server": "` + name + `"}`
	}
	return "200 OK\nServer:: " + name + "\n\n"
}

// refusal is the answer for a dialog that isn't there.
func (f form) refusal(id int) string {
	switch {
	case f.dialect == mi.RPC:
		return fmt.Sprintf(`{"jsonrpc":"2.0","error":{"code":404,"message":"No such dialog"},"id":%d}`, id)
	case f.dialect == mi.OldJSON && f.release >= "2.4":
		return `{"error": {"code": 404, "message": "No such dialog"}}`
	case f.dialect == mi.OldJSON:
		return ""
	}
	return "404 No such dialog\n"
}

func (f form) page(list []mi.Dialog, total, id int) string {
	var parts []string
	for i := range list {
		parts = append(parts, f.dialog(&list[i]))
	}
	switch f.dialect {
	case mi.RPC:
		return fmt.Sprintf(`{"jsonrpc":"2.0","result":{"count":%d,"Dialogs":[%s]},"id":%d}`, total, strings.Join(parts, ","), id)
	case mi.OldJSON:
		parts = append([]string{fmt.Sprintf(`{"value":"%d"}`, total)}, parts...)
		return `{"dlg_counter": [` + strings.Join(parts, ", ") + "]}"
	}
	return fmt.Sprintf("200 OK\ndlg_counter:: %d\n%s\n", total, strings.Join(parts, ""))
}

func (f form) one(d *mi.Dialog, id int) string {
	switch f.dialect {
	case mi.RPC:
		return fmt.Sprintf(`{"jsonrpc":"2.0","result":{"Dialog":%s},"id":%d}`, f.dialog(d), id)
	case mi.OldJSON:
		return `{"dialog": ` + f.dialog(d) + "}"
	}
	return "200 OK\n" + f.dialog(d) + "\n"
}

func (f form) dialog(d *mi.Dialog) string {
	switch f.dialect {
	case mi.RPC:
		return f.rpc(d)
	case mi.OldJSON:
		return f.oldJSON(d)
	}
	return f.text(d)
}

// field is a name with its value.
type field struct{ name, value string }

func caller(d *mi.Dialog) []field {
	return []field{
		{"callid", d.CallID}, {"from_uri", d.From}, {"to_uri", d.To}, {"caller_tag", d.Caller.Tag}, {"caller_contact", d.Caller.Contact},
		{"callee_cseq", d.Caller.CSeq}, {"caller_route_set", d.Caller.Routes}, {"caller_bind_addr", d.Caller.Socket},
	}
}

func callee(l *mi.Leg) []field {
	return []field{
		{"callee_tag", l.Tag}, {"callee_contact", l.Contact}, {"caller_cseq", l.CSeq},
		{"callee_route_set", l.Routes}, {"callee_bind_addr", l.Socket},
	}
}

func numbers(d *mi.Dialog) []field {
	return []field{
		{"state", strconv.Itoa(d.State)}, {"user_flags", d.Flags},
		{"timestart", strconv.FormatInt(d.Start, 10)}, {"timeout", strconv.FormatInt(d.Timeout, 10)},
	}
}

// text writes the text tree: nothing is escaped.
func (f form) text(d *mi.Dialog) string {
	var b strings.Builder
	number := d.ID & 0xffffffff
	switch f.release {
	case "1.10":
		fmt.Fprintf(&b, "dialog::  hash=%d:%d\n", d.ID>>32, number)
	case "1.11":
		fmt.Fprintf(&b, "dialog::  hash=%d:%d dialog_id=%d\n", d.ID>>32, number, d.ID)
	default:
		fmt.Fprintf(&b, "dialog::  ID=%d\n", d.ID)
	}
	write := func(tabs int, fields []field) {
		for _, x := range fields {
			b.WriteString(strings.Repeat("\t", tabs) + x.name + ":: " + x.value + "\n")
		}
	}
	write(1, numbers(d))
	write(1, caller(d))
	if f.release != "1.10" {
		write(1, []field{{"CALLEES", ""}})
	}
	for i := range d.Callees {
		if f.release == "1.10" {
			write(1, callee(&d.Callees[i]))
		} else {
			write(2, []field{{"callee", ""}})
			write(3, callee(&d.Callees[i]))
		}
	}
	if !f.full {
		return b.String()
	}
	write(1, []field{{"context", ""}})
	for _, list := range []struct {
		one, all string
		values   []mi.Value
	}{{"value", "values", d.Values}, {"profile", "profiles", d.Profiles}} {
		if f.release != "1.10" {
			write(2, []field{{list.all, ""}})
		}
		for _, v := range list.values {
			if f.release == "1.10" {
				write(2, []field{{list.one, v.Name + " = " + v.Value}})
			} else {
				write(3, []field{{v.Name, v.Value}})
			}
		}
	}
	return b.String()
}

// members writes name: value pairs. An empty value is {} in the JSON of 1.11 to 2.4.
func members(fields []field, empty string) string {
	var parts []string
	for _, x := range fields {
		value := quote(x.value)
		if x.value == "" {
			value = empty
		}
		parts = append(parts, quote(x.name)+": "+value)
	}
	return strings.Join(parts, ", ")
}

func (f form) oldJSON(d *mi.Dialog) string {
	var legs []string
	for i := range d.Callees {
		legs = append(legs, `{"children":{`+members(callee(&d.Callees[i]), "{}")+`}}`)
	}
	callees := `{"children":{"callee": [` + strings.Join(legs, ", ") + "]}}"
	if len(legs) == 0 {
		callees = "{}"
	}
	attributes := fmt.Sprintf(`{"ID": "%d"}`, d.ID)
	if f.release == "1.11" {
		attributes = fmt.Sprintf(`{"hash": "%d:%d", "dialog_id": "%d"}`, d.ID>>32, d.ID&0xffffffff, d.ID)
	}
	out := `{"attributes":` + attributes + `,"children":{` + members(append(numbers(d), caller(d)...), "{}") + `, "CALLEES": ` + callees
	if !f.full {
		return out + "}}"
	}
	out += `, "context": {"children":{"values": {"children":{` + members(pairs(d.Values), "{}") + `}}`
	if f.release == "1.11" && len(d.Profiles) > 1 { // all but the first lose their names
		var parts []string
		for _, v := range d.Profiles {
			parts = append(parts, `{"value":`+quote(v.Value)+"}")
		}
		out += `, "profiles": {"children":{` + quote(d.Profiles[0].Name) + `: [` + strings.Join(parts, ", ") + `]}}`
	} else {
		out += `, "profiles": {"children":{` + members(pairs(d.Profiles), "{}") + `}}`
	}
	return out + "}}}}"
}

func pairs(list []mi.Value) (out []field) {
	for _, v := range list {
		out = append(out, field{v.Name, v.Value})
	}
	return out
}

func (f form) rpc(d *mi.Dialog) string {
	legs := make([]string, len(d.Callees))
	for i := range d.Callees {
		legs[i] = "{" + members(append(callee(&d.Callees[i]), sdps("callee", &d.Callees[i])...), `""`) + "}"
	}
	flags := d.Flags
	if flags == "0" {
		flags = ""
	}
	out := fmt.Sprintf(`{"ID":"1.1","db_id":"%d","state":%d,"user_flags":%s,"timestart":%d,"timeout":%d,%s,"CALLEES":[%s]`,
		d.ID, d.State, quote(flags), d.Start, d.Timeout, members(append(caller(d), sdps("caller", &d.Caller)...), `""`), strings.Join(legs, ","))
	if !f.full {
		return out + "}"
	}
	list := func(values []mi.Value, escape bool) string {
		var parts []string
		for _, v := range values {
			switch {
			case v.Number:
				parts = append(parts, "{"+quote(v.Name)+":"+v.Value+"}")
			case escape:
				parts = append(parts, "{"+quote(v.Name)+":"+quote(escaped(v.Value))+"}")
			default:
				parts = append(parts, "{"+quote(v.Name)+":"+quote(v.Value)+"}")
			}
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return out + `,"context":{"values":` + list(d.Values, true) + `,"profiles":` + list(d.Profiles, false) + "}}"
}

func sdps(leg string, l *mi.Leg) (out []field) {
	if l.SDP != "" {
		out = append(out, field{leg + "_sdp", l.SDP})
	}
	if l.SentSDP != "" {
		out = append(out, field{leg + "_sent_sdp", l.SentSDP})
	}
	return out
}

// escaped writes a variable's value as 3.x does: a backslash isn't doubled.
func escaped(value string) string {
	var b strings.Builder
	for i := range len(value) {
		switch c := value[i]; {
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// quote writes a JSON text as a proxy does: bytes above 127 are copied as they are.
func quote(text string) string {
	out := []byte{'"'}
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ':
			out = fmt.Appendf(out, `\u%04x`, c)
		default:
			out = append(out, c)
		}
	}
	return string(append(out, '"'))
}
