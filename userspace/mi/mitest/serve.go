package mitest

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"binrepd/userspace/mi"
)

// Start answers over a transport, "http", "udp" or "fifo", until the test ends, and returns the address.
func (p *Proxy) Start(transport string) string {
	switch transport {
	case "http":
		server := httptest.NewServer(p)
		p.t.Cleanup(server.Close)
		return server.URL
	case "udp":
		return p.serveDatagrams()
	}
	return p.serveFIFO()
}

// maxBody is what 3.6 takes over HTTP by default, and maxFIFO what every release takes over a FIFO.
const (
	maxBody = 1024
	maxFIFO = 4096
)

// call answers a request in JSON-RPC.
func (p *Proxy) call(request []byte) string {
	var call struct {
		Version string `json:"jsonrpc"`
		Method  string
		ID      *int
		Params  map[string]json.RawMessage
	}
	if err := json.Unmarshal(request, &call); err != nil || call.Method == "" || call.Version != "2.0" || call.ID == nil {
		p.t.Errorf("a request that ends a proxy, or gets no answer: %s", request)
		return ""
	}
	var args []string
	for _, name := range []string{"index", "counter", "callid", "from_tag"} {
		value, ok := call.Params[name]
		if !ok {
			continue
		}
		delete(call.Params, name)
		if name == "index" || name == "counter" {
			args = append(args, string(value))
			continue
		}
		args = append(args, latin1(value))
	}
	if len(call.Params) > 0 {
		p.t.Errorf("unknown arguments in %s", request)
	}
	return p.answer(mi.RPC, call.Method, args, *call.ID)
}

// latin1 reads a JSON text byte by byte.
func latin1(quoted []byte) string {
	var out []byte
	for i := 1; i < len(quoted)-1; i++ {
		if quoted[i] == '\\' {
			i++
			if quoted[i] == 'u' {
				n, _ := strconv.ParseUint(string(quoted[i+1:i+5]), 16, 8)
				out = append(out, byte(n))
				i += 4
				continue
			}
		}
		out = append(out, quoted[i])
	}
	return string(out)
}

// text answers the lines of a request in the text form.
func (p *Proxy) text(request string) string {
	lines := strings.Split(strings.TrimSuffix(request, "\n\n"), "\n")
	_, command, _ := strings.Cut(lines[0], ":")
	command, _, _ = strings.Cut(command, ":")
	for i, line := range lines[1:] {
		if strings.ContainsRune(line, '"') {
			p.t.Errorf("an argument that a proxy can't parse: %q", line)
			return "400 parse error\n"
		}
		if _, value, cut := strings.Cut(line, "::"); cut {
			lines[i+1] = value
		}
	}
	return p.answer(mi.Text, command, lines[1:], 0)
}

// ServeHTTP answers over HTTP.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Error(err)
	}
	command, isOld := strings.CutPrefix(r.URL.Path, "/json/")
	switch {
	case p.rpc() && r.URL.Path == "/mi" && r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/json":
		if r.ContentLength < 0 || len(body) > maxBody {
			p.t.Errorf("a request that a proxy refuses: %d bytes, chunked %t", len(body), r.ContentLength < 0)
		}
		_, _ = io.WriteString(w, p.call(body))
	case !p.rpc() && isOld && r.Method == http.MethodGet:
		var args []string
		if params := r.URL.Query().Get("params"); params != "" {
			args = strings.Split(params, ",")
		}
		_, _ = io.WriteString(w, p.answer(mi.OldJSON, command, args, 0))
	case !p.rpc():
		_, _ = io.WriteString(w, `{"error":"Unexpected method"}`) // 1.11
	default:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<html>Unable to parse URL!</html>")
	}
}

// largest is the largest answer by datagram. A longer one is not sent.
func (p *Proxy) largest() int {
	if p.release < "2.4" {
		return 32_600
	}
	return 65_457
}

func (p *Proxy) serveDatagrams() (address string) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	p.t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			request, answer := string(buf[:n]), "500 command not available\n"
			switch isRPC := strings.HasPrefix(request, "{"); {
			case p.rpc() && isRPC:
				answer = p.call(buf[:n])
			case p.rpc():
				answer = "400 Parse_error"
			case !isRPC:
				answer = p.text(request)
			}
			if len(answer) > p.largest() {
				p.t.Errorf("a request whose answer, %d bytes, doesn't fit into a datagram", len(answer))
				continue
			}
			_, _ = conn.WriteTo([]byte(answer), from)
		}
	}()
	return "udp:" + conn.LocalAddr().String()
}

func (p *Proxy) serveFIFO() (address string) {
	path := filepath.Join(p.t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		p.t.Fatal(err)
	}
	in, err := os.OpenFile(path, os.O_RDWR, 0) // a writer of our own: no end of file between clients
	if err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	p.t.Cleanup(func() { in.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 2*maxFIFO)
		for {
			n, err := in.Read(buf)
			if err != nil {
				return
			}
			if n > maxFIFO {
				p.t.Errorf("a request of %d bytes", n)
			}
			p.pipe(string(buf[:n]))
		}
	}()
	return "fifo:" + path
}

// pipe answers one request that came through the FIFO.
func (p *Proxy) pipe(request string) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(request, ":"), ":")
	reply, answer := first, ""
	switch isRPC := strings.HasPrefix(rest, "{"); {
	case p.rpc() && isRPC:
		answer = p.call([]byte(rest))
	case p.rpc() && json.Valid([]byte(strings.TrimSpace(rest))):
		p.t.Errorf("a request that ends a proxy: %q", request)
		return
	case p.rpc():
		return // silence
	case isRPC:
		p.t.Errorf("a request that costs the next one: %q", request)
		return
	default:
		reply, _, _ = strings.Cut(rest, "\n")
		answer = p.text(request)
	}
	if strings.ContainsAny(reply, `./\`) {
		p.t.Errorf("the name of the reply is refused: %q", reply)
		return
	}
	if err := os.WriteFile(filepath.Join("/tmp", reply), []byte(answer), 0); err != nil {
		p.t.Error(err)
	}
}
