package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// asker asks the metrics address for one page, over one connection. It allocates nothing, so that what an answer
// costs is what those spend who give it.
type asker struct {
	conn    net.Conn
	request []byte
	buffer  []byte
}

func newAsker(ctx context.Context, to netip.AddrPort, path, accept string) (*asker, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	a := &asker{
		conn: c, buffer: make([]byte, 4<<20),
		request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\nAccept-Encoding: gzip\r\n\r\n", path, to, accept),
	}
	if _, err := a.ask(); err != nil { // a server closes a connection that asks nothing
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *asker) close() { a.conn.Close() }

// askTime bounds an answer that doesn't come.
const askTime = time.Minute

// ask asks once and returns how long the answer was, in bytes.
func (a *asker) ask() (size int, err error) {
	if err := a.conn.SetDeadline(time.Now().Add(askTime)); err != nil {
		return 0, err
	}
	if _, err := a.conn.Write(a.request); err != nil {
		return 0, err
	}
	n, head, body := 0, -1, 0
	for head < 0 || n < head+body {
		if n == len(a.buffer) {
			return 0, errors.New("the answer is too long")
		}
		m, err := a.conn.Read(a.buffer[n:])
		if n += m; err != nil {
			return 0, fmt.Errorf("the answer: %w", errors.Join(err, io.ErrUnexpectedEOF))
		}
		if head < 0 {
			if head, body, err = cutHead(a.buffer[:n]); err != nil {
				return 0, err
			}
		}
	}
	return body, nil
}

// cutHead returns the lengths of an answer's head and body; that of the head is -1 if it isn't complete.
func cutHead(b []byte) (head, body int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return -1, 0, nil
	}
	if !bytes.HasPrefix(b, []byte("HTTP/1.1 200 ")) {
		line, _, _ := bytes.Cut(b, []byte("\r\n"))
		return 0, 0, fmt.Errorf("the answer is %q", line)
	}
	const name = "\r\nContent-Length: "
	at := bytes.Index(b[:end], []byte(name))
	if at < 0 {
		return 0, 0, errors.New("the answer doesn't say how long it is")
	}
	number, _, _ := bytes.Cut(b[at+len(name):end+2], []byte("\r\n"))
	if body, err = strconv.Atoi(string(number)); err != nil {
		return 0, 0, fmt.Errorf("length of the answer: %w", err)
	}
	return end + 4, body, nil
}

// scraped is one consumer at its limit while somebody asks.
type scraped struct {
	*watched
	client *asker // nil: no client
	events int    // of a lap

	answers     int
	collections uint64
	waited      time.Duration // for locks, by all of the process
	wall        time.Duration
	laps        int
}

func (w *watched) contend(ctx context.Context, n int, path, accept string) (*scraped, error) {
	c := &scraped{watched: w, events: n}
	if path == "" {
		return c, nil
	}
	var err error
	c.client, err = newAsker(ctx, w.address, path, accept)
	return c, err
}

// lap times a lap of the consumer while the client asks: at once, and then at regular times.
func (c *scraped) lap(ctx context.Context) (lap, error) {
	gc, locks := readGC(), lockWait()
	done := make(chan struct{})
	var asking sync.WaitGroup
	var failed error
	if c.client != nil {
		asking.Go(func() {
			tick := time.NewTicker(scrapeEvery)
			defer tick.Stop()
			for {
				if _, failed = c.client.ask(); failed != nil {
					return
				}
				c.answers++
				select {
				case <-done:
					return
				case <-tick.C:
				}
			}
		})
	}
	l := c.worker.round(c.events)
	close(done)
	asking.Wait()
	after := readGC()
	c.collections += after.cycles - gc.cycles
	c.waited += lockWait() - locks
	c.wall += l.wall
	c.laps++
	return l, errors.Join(failed, ctx.Err())
}

// note tells what happened beside the events.
func (c *scraped) note() string {
	return fmt.Sprintf("a second: %.1f answers, %.2f collections, %.0f us waited for locks",
		float64(c.answers)/c.wall.Seconds(), float64(c.collections)/c.wall.Seconds(), float64(c.waited.Nanoseconds())/1e3/c.wall.Seconds())
}
