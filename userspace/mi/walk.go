package mi

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Sizes of pages. Over a datagram an answer that doesn't fit never comes, and dialogs of 3.x hold SDPs.
const (
	page         = 500
	datagramPage = 20
)

// maxPages bounds a walk at a proxy that never ends it: 20 million dialogs.
const maxPages = 40_000

// Dialogs walks over all dialogs by pages and calls each for every one, with variables and profiles if full is set. It
// returns the total that the proxy named last.
//
// A walk is no snapshot: while calls come and go it misses some and shows some twice (3 to 6 of 100 were missed with
// pages of 10). So join by key, walk again, and ask [Client.Dialog] about each that seems to be missing.
func (c *Client) Dialogs(ctx context.Context, full bool, each func(Dialog) error) (total int, err error) {
	command := "dlg_list"
	if full {
		command = "dlg_list_ctx"
	}
	size := page
	if _, ok := c.transport.(*datagram); ok {
		size = datagramPage
	}
	for n := range maxPages {
		answer, err := c.dialogPage(ctx, command, n*size, size)
		if err != nil {
			return total, err
		}
		total = answer.total
		for i := range answer.dialogs {
			if err := each(c.dialog(answer.dialogs[i])); err != nil {
				return total, err
			}
		}
		if len(answer.dialogs) < size {
			return total, nil
		}
	}
	return total, fmt.Errorf("%s: the proxy gave %d pages and no end", command, maxPages)
}

type dialogPage struct {
	total   int
	dialogs []*Node
}

func (c *Client) dialogPage(ctx context.Context, command string, index, size int) (p dialogPage, err error) {
	n, err := c.Call(ctx, command, number("index", index), number("counter", size))
	if isEmpty(err) {
		return p, nil // an empty list of 1.11 and 2.1
	}
	if NotFound(err) && c.dialect != RPC {
		return p, nil // the text form says so of an empty table
	}
	if err != nil {
		return p, err
	}
	return c.pageOf(n), nil
}

// pageOf finds the dialogs in the answer to a request for a page.
func (c *Client) pageOf(n *Node) (p dialogPage) {
	name := "dialog"
	if c.dialect == RPC {
		p.total = int(n.number("count"))
		n, name = n.Child("Dialogs"), ""
	} else {
		p.total = int(n.number("dlg_counter"))
	}
	for i := range n.Children {
		if n.Children[i].Name == name {
			p.dialogs = append(p.dialogs, &n.Children[i])
		}
	}
	return p
}

// Dialog asks for the dialog with a Call-ID and, unless fromTag is empty, a From tag. Without one a proxy gives one of
// several dialogs with that Call-ID and no hint. found is false if it has none. The error is [ErrUnsendable] for a
// Call-ID that this dialect can't express; such a dialog shows in a walk only.
func (c *Client) Dialog(ctx context.Context, callID, fromTag string, full bool) (d Dialog, found bool, err error) {
	command := "dlg_list"
	if full {
		command = "dlg_list_ctx"
	}
	params := []Param{{Name: "callid", Value: callID}}
	// The text form takes two numbers for a page.
	if fromTag != "" && (c.dialect == RPC || !digits(callID) || !digits(fromTag)) {
		params = append(params, Param{Name: "from_tag", Value: fromTag})
	}
	if c.dialect != RPC && strings.ContainsAny(callID+fromTag, "\"\\") {
		return d, false, fmt.Errorf("%s: %w", command, ErrUnsendable)
	}
	n, err := c.Call(ctx, command, params...)
	if NotFound(err) {
		return d, false, nil
	}
	if err != nil {
		return d, false, err
	}
	name := "dialog"
	if c.dialect == RPC {
		name = "Dialog"
	}
	one := n.Child(name)
	if one.Name == "" {
		return d, false, fmt.Errorf("%s: no dialog in the answer", command)
	}
	return c.dialog(one), true, nil
}

func digits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// Statistics asks for statistics by name (active_dialogs) or group (dialog:). The keys of the result are group:name.
// Unknown ones are absent.
func (c *Client) Statistics(ctx context.Context, names ...string) (map[string]int64, error) {
	n, err := c.Call(ctx, "get_statistics", Param{Name: "statistics", List: names})
	if NotFound(err) {
		return map[string]int64{}, nil
	}
	if err != nil {
		return nil, err
	}
	found := make(map[string]int64, len(n.Children))
	for i := range n.Children {
		one := &n.Children[i]
		name, value := one.Name, one.Value
		if name == "" { // 1.10 writes group:name = value
			name, value, _ = strings.Cut(one.Value, " = ")
		}
		if v, err := strconv.ParseInt(value, 10, 64); err == nil {
			found[name] = v
		}
	}
	return found, nil
}
