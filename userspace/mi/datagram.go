package mi

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"
)

// datagramTimeout is how long an answer by datagram may take. One that doesn't fit into a datagram never comes.
const datagramTimeout = 10 * time.Second

// datagram asks over UDP. The answer is one datagram.
type datagram struct {
	conn net.Conn
	buf  []byte
}

func newDatagram(host string) (*datagram, error) {
	conn, err := net.Dial("udp", host)
	if err != nil {
		return nil, err
	}
	return &datagram{conn: conn, buf: make([]byte, 1<<16)}, nil
}

func (d *datagram) close() { d.conn.Close() }

// dialects begins with JSON-RPC: a proxy of the text form refuses it with one line. A text request would get a line
// from a proxy of JSON-RPC as well, and harms neither.
func (d *datagram) dialects() []Dialect { return []Dialect{RPC, Text} }

func (d *datagram) another(err error) bool { return !isUnreachable(err) }

func (d *datagram) ask(ctx context.Context, dialect Dialect, id int, command string, params []Param) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, datagramTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = d.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	request := requestRPC(id, command, params)
	if dialect == Text {
		var err error
		if request, err = requestText(command, "", params); err != nil {
			return nil, err
		}
	}
	d.drain()
	if _, err := d.conn.Write(request); err != nil {
		return nil, err
	}
	n, err := d.conn.Read(d.buf)
	if err != nil {
		if ctx.Err() != nil {
			return nil, errSilent
		}
		return nil, err
	}
	return d.buf[:n], nil
}

// drain takes late answers to earlier requests away, which have no number in the text form.
func (d *datagram) drain() {
	for {
		_ = d.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := d.conn.Read(d.buf); err != nil {
			break
		}
	}
	_ = d.conn.SetReadDeadline(time.Time{})
}

// errSilent tells what silence on a datagram can mean.
var errSilent = errors.New("no answer: nobody listens, or the answer doesn't fit into a datagram")

// isUnreachable reports whether another dialect can't help either.
func isUnreachable(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) ||
		errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) ||
		strings.Contains(err.Error(), "certificate")
}
