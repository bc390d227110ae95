package mi

import "strconv"

// Node is one value of an answer with what belongs to it. In JSON-RPC an object or array has no Value, and a member of
// an array has no Name.
type Node struct {
	Name     string
	Value    string
	Number   bool // JSON wrote Value as a number
	Attrs    []Attr
	Children []Node
}

// Attr is a pair that the text form writes behind a node's value: ID=5206067023.
type Attr struct{ Name, Value string }

// Child returns the first child of that name, or an empty node.
func (n *Node) Child(name string) *Node {
	for i := range n.Children {
		if n.Children[i].Name == name {
			return &n.Children[i]
		}
	}
	return &Node{}
}

// Attr returns an attribute, or else the value of the child of that name: what is an attribute in text is a member in
// JSON-RPC.
func (n *Node) Attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a.Value
		}
	}
	return n.Child(name).Value
}

// text returns the value of a child.
func (n *Node) text(name string) string { return n.Child(name).Value }

// number returns the value of a child as a number, 0 if it is none.
func (n *Node) number(name string) int64 {
	v, _ := strconv.ParseInt(n.Child(name).Value, 10, 64)
	return v
}
