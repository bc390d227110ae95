package mi

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Error is a refusal by the proxy. Codes from 100 to 699 are MI's own, as in 404 No such dialog; negative ones are
// JSON-RPC's.
type Error struct {
	Code    int
	Message string
	Data    string
	empty   bool // the answer was empty: see isEmpty
}

func (e *Error) Error() string {
	text := fmt.Sprintf("the proxy answered %d %s", e.Code, e.Message)
	if e.Data != "" {
		text += " (" + e.Data + ")"
	}
	return text
}

// NotFound reports whether the proxy said that what was asked for doesn't exist.
func NotFound(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Code == 404
}

// Unknown reports whether the proxy doesn't have the command.
func Unknown(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && (refused.Code == codeNoMethod || refused.Code == 500 && commandMissing.MatchString(refused.Message))
}

// commandMissing matches what the releases before 3 say of a command that they don't have.
var commandMissing = regexp.MustCompile(`(?i)^command.* not (available|found)`)

// codeNoMethod is JSON-RPC's "Method not found".
const codeNoMethod = -32601

// ErrUnsendable tells that an argument can't be sent in this dialect, such as a comma over the HTTP of 1.11 to 2.4.
var ErrUnsendable = errors.New("the proxy's management interface can't take this argument")

// isEmpty reports an empty answer of HTTP in 1.11 and 2.1: done, an empty list and "not found" all look like that.
func isEmpty(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.empty
}

// Dialect is the form of requests and answers.
type Dialect uint8

// The dialects, and the releases that were measured with them.
const (
	Unset   Dialect = iota
	Text            // FIFO and datagram of 1.10 to 2.4
	OldJSON         // HTTP of 1.11 to 2.4
	RPC             // 3.0 and later
)

func (d Dialect) String() string {
	return [...]string{"unknown", "text", "JSON of 1.11 to 2.4", "JSON-RPC"}[d]
}

// maxAnswer bounds the memory for one answer. A page of 500 dialogs takes about 300 kB, with long SDPs a few MB.
const maxAnswer = 64 << 20

// timeout bounds one request. A proxy serves one after the other, and a full list of another client takes half a minute.
const timeout = 40 * time.Second

// transport sends one request and returns the raw answer.
type transport interface {
	// ask sends a call in a dialect. The answer is at most maxAnswer bytes.
	ask(ctx context.Context, dialect Dialect, id int, command string, params []Param) ([]byte, error)
	// dialects are those that the transport can have, in the order in which to try them.
	dialects() []Dialect
	// another reports whether another dialect may help after an error.
	another(err error) bool
	close()
}

// Client asks one proxy. It isn't safe for concurrent use: a proxy serves one request at a time anyway.
type Client struct {
	transport transport
	dialect   Dialect
	version   string
	id        int
	rest      rest
}

// Connect finds out the dialect of the proxy at an address (see [ParseAddress]) and asks for its version.
func Connect(ctx context.Context, a Address) (*Client, error) {
	t, err := a.transport()
	if err != nil {
		return nil, err
	}
	c := &Client{transport: t}
	var errs []error
	for _, d := range t.dialects() {
		c.dialect = d
		answer, err := c.Call(ctx, "version")
		if err == nil {
			c.version = answer.text("Server")
			return c, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil || !t.another(err) {
			break
		}
	}
	t.close()
	return nil, fmt.Errorf("%s: %w", a, errs[0])
}

// Close releases the connection.
func (c *Client) Close() { c.transport.close() }

// Dialect returns the dialect that was found.
func (c *Client) Dialect() Dialect { return c.dialect }

// Version returns what the proxy calls itself, such as "OpenSIPS (3.6.8 (x86_64/linux))".
func (c *Client) Version() string { return c.version }

// Call sends one command and waits for its answer, 40 s at most. A refusal is an [Error].
func (c *Client) Call(ctx context.Context, command string, params ...Param) (*Node, error) {
	if err := c.rest.before(ctx); err != nil {
		return nil, err
	}
	defer c.rest.after(time.Now())
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c.id = c.id%9999 + 1 // small numbers come back as they were
	answer, err := c.transport.ask(ctx, c.dialect, c.id, command, params)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	var node *Node
	switch c.dialect {
	case RPC:
		node, err = parseRPC(answer, c.id)
	case OldJSON:
		node, err = parseOldJSON(answer)
	default:
		node, err = parseText(answer)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	return node, nil
}

// parseOldJSON reads an answer of HTTP in 1.11 to 2.4.
func parseOldJSON(answer []byte) (*Node, error) {
	if len(answer) == 0 {
		return nil, &Error{Code: 404, Message: "nothing (an empty answer)", empty: true}
	}
	root, err := decodeJSON(answer)
	if err != nil {
		return nil, err
	}
	if failed := root.Child("error"); failed.Name != "" {
		if failed.Value != "" {
			return nil, &Error{Code: 500, Message: "command not available: " + failed.Value}
		}
		return nil, &Error{Code: int(failed.number("code")), Message: failed.text("message")}
	}
	return fromOldJSON(root), nil
}
