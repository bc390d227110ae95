package mi

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// maxBody is the largest request that every release takes with its default settings.
const maxBody = 1000

// web asks over HTTP: POST /mi with JSON-RPC from 3.0 on, GET /json/COMMAND before.
type web struct {
	base   url.URL
	user   *url.Userinfo
	client http.Client
	own    *http.Transport
}

func newHTTP(base *url.URL, security *tls.Config) *web {
	own := &http.Transport{
		TLSClientConfig: security, MaxIdleConns: 1, MaxResponseHeaderBytes: 64 << 10,
		DialContext: (&net.Dialer{}).DialContext, DisableCompression: true,
	}
	w := &web{base: *base, user: base.User, own: own}
	w.base.User = nil
	w.client = http.Client{
		Transport:     own,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w
}

func (w *web) close() { w.own.CloseIdleConnections() }

// dialects tells by the path, as the defaults of the releases are, or tries both.
func (w *web) dialects() []Dialect {
	switch strings.Trim(w.base.Path, "/") {
	case "":
		return []Dialect{RPC, OldJSON}
	case "json":
		return []Dialect{OldJSON}
	}
	return []Dialect{RPC}
}

func (w *web) another(err error) bool { return !isUnreachable(err) }

func (w *web) ask(ctx context.Context, dialect Dialect, id int, command string, params []Param) ([]byte, error) {
	request, err := w.request(ctx, dialect, id, command, params)
	if err != nil {
		return nil, err
	}
	if w.user != nil {
		password, _ := w.user.Password()
		request.SetBasicAuth(w.user.Username(), password)
	}
	response, err := w.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
	case response.StatusCode == http.StatusUnauthorized:
		return nil, &Error{Code: response.StatusCode, Message: "Unauthorized: give user and password in the address"}
	case response.StatusCode != http.StatusOK && !bytes.HasPrefix(answer, []byte("{")):
		return nil, &Error{Code: response.StatusCode, Message: http.StatusText(response.StatusCode)}
	}
	return answer, nil
}

func (w *web) request(ctx context.Context, dialect Dialect, id int, command string, params []Param) (*http.Request, error) {
	at := w.base
	if dialect == RPC {
		if strings.Trim(at.Path, "/") == "" {
			at.Path = "/mi"
		}
		body := requestRPC(id, command, params)
		if len(body) > maxBody {
			return nil, fmt.Errorf("%w: the request has %d bytes, a proxy takes %d", ErrUnsendable, len(body), maxBody)
		}
		// The length is known, so that the request isn't chunked, which a proxy refuses.
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/json")
		return request, nil
	}
	at.Path = "/json/" + command
	var values []string
	for _, v := range positional(params) {
		// The proxy splits at commas after it has decoded the percents.
		if strings.Contains(v, ",") {
			return nil, ErrUnsendable
		}
		values = append(values, strings.ReplaceAll(url.QueryEscape(v), "+", "%20"))
	}
	if len(values) > 0 {
		at.RawQuery = "params=" + strings.Join(values, ",")
	}
	return http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
}

// positional returns the values of arguments in their order.
func positional(params []Param) (values []string) {
	for _, p := range params {
		if p.List != nil {
			values = append(values, p.List...)
		} else {
			values = append(values, p.Value)
		}
	}
	return values
}

// requestText writes a call for FIFO or datagram in the text form. reply is the name of the reply's pipe, or "".
func requestText(command, reply string, params []Param) ([]byte, error) {
	b := []byte(":" + command + ":" + reply + "\n")
	for _, v := range positional(params) {
		line, err := argument(v)
		if err != nil {
			return nil, err
		}
		b = append(append(b, line...), '\n')
	}
	return append(b, '\n'), nil
}
