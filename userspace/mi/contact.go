package mi

import (
	"context"
	"strconv"
)

// Contact is a registration as a proxy lists it.
type Contact struct {
	Domain, AoR string // the table, and the address of record, since 4.0 with its domain
	URI, Q      string
	ID          uint64 // 0 before 2.4
	Expires     int64  // seconds left; 0 for one that is over or never ends
	CallID      string
	CSeq        int64
	UserAgent   string // "n/a" if the phone gave none
	State       string // CS_NEW, CS_SYNC or CS_DIRTY
	Flags       int64
	CFlags      string
	Socket      string
	Methods     uint32
	Path        string
	Received    string
	Instance    string
	Attr        string
}

// Contacts asks for all contacts, in one answer: MI has no pages for them.
func (c *Client) Contacts(ctx context.Context, each func(Contact) error) error {
	n, err := c.Call(ctx, "ul_dump")
	if NotFound(err) && c.dialect != RPC {
		return nil
	}
	if err != nil {
		return err
	}
	return c.contactsOf(n, each)
}

func (c *Client) contactsOf(n *Node, each func(Contact) error) error {
	if c.dialect == RPC {
		n = n.Child("Domains")
	}
	for i := range n.Children {
		domain := &n.Children[i]
		name, records := domain.Value, domain
		if c.dialect == RPC {
			name, records = domain.text("name"), domain.Child("AORs")
		}
		for j := range records.Children {
			aor := &records.Children[j]
			of, contacts := aor.Value, aor
			if c.dialect == RPC {
				of, contacts = aor.text("AOR"), aor.Child("Contacts")
			} else if aor.Name != "AOR" {
				continue
			}
			for k := range contacts.Children {
				if err := each(contact(name, of, &contacts.Children[k])); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func contact(domain, aor string, n *Node) Contact {
	uri := n.Value
	if uri == "" {
		uri = n.text("Contact")
	}
	id, _ := strconv.ParseUint(n.text("ContactID"), 10, 64)
	return Contact{
		Domain: domain, AoR: aor, URI: uri, Q: n.Attr("Q"), ID: id, Expires: n.number("Expires"), CallID: n.text("Callid"),
		CSeq: n.number("Cseq"), UserAgent: n.text("User-agent"), State: n.text("State"), Flags: n.number("Flags"),
		CFlags: n.text("Cflags"), Socket: n.text("Socket"), Methods: uint32(n.number("Methods")),
		Path: n.text("Path"), Received: n.text("Received"), Instance: n.text("SIP_instance"), Attr: n.text("Attr"),
	}
}
