package mi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// Address is where a proxy's management interface is. Its String doesn't show a password.
type Address struct {
	url  *url.URL
	root *x509.CertPool // nil: the host's
	skip bool
}

// Forms are the forms of addresses that [ParseAddress] takes, for help texts.
const Forms = "http://HOST:PORT[/mi], https://USER:PASSWORD@HOST:PORT/mi, udp:HOST:PORT or fifo:/PATH"

// ParseAddress reads an address: http or https with an optional user, password and path (/mi or /json; without a path
// both are tried), udp:HOST:PORT for datagrams, or fifo:/PATH for a FIFO on the same host. A query of https may have
// ca=FILE, the certificate of the authority that signed the proxy's, or insecure=1, which checks no certificate.
func ParseAddress(text string) (Address, error) {
	wrong := func(cause string) (Address, error) {
		return Address{}, fmt.Errorf("%s; write %s", cause, Forms)
	}
	u, err := url.Parse(text)
	if err != nil {
		return wrong("not an address of a management interface")
	}
	a := Address{url: u}
	switch u.Scheme {
	case "http", "https":
		if u.Hostname() == "" || u.Opaque != "" {
			return wrong("no host")
		}
		if err := a.options(); err != nil {
			return Address{}, err
		}
	case "udp":
		u.Host, u.Opaque = u.Host+u.Opaque, ""
		if u.Hostname() == "" || u.Port() == "" {
			return wrong("no host or no port")
		}
	case "fifo":
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") {
			return wrong("the path of a FIFO begins with /")
		}
	default:
		return wrong(fmt.Sprintf("%q is no form of address", u.Scheme))
	}
	return a, nil
}

func (a *Address) options() error {
	q := a.url.Query()
	for name := range q {
		if name != "ca" && name != "insecure" || a.url.Scheme != "https" {
			return fmt.Errorf("%q: an https address knows ca=FILE and insecure=1", name)
		}
	}
	a.skip = q.Get("insecure") == "1"
	if file := q.Get("ca"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		a.root = x509.NewCertPool()
		if !a.root.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: no certificate in it", file)
		}
	}
	a.url.RawQuery = ""
	return nil
}

// String returns the address without its password.
func (a Address) String() string {
	if a.url == nil {
		return ""
	}
	if a.url.Scheme == "udp" {
		return "udp:" + a.url.Host
	}
	if a.url.Scheme == "fifo" {
		return "fifo:" + a.url.Path
	}
	return a.url.Redacted()
}

// Host returns the name or address of the host, "" for a FIFO.
func (a Address) Host() string {
	if a.url == nil {
		return ""
	}
	return a.url.Hostname()
}

func (a Address) transport() (transport, error) {
	switch {
	case a.url == nil:
		return nil, errors.New("no address")
	case a.url.Scheme == "udp":
		return newDatagram(a.url.Host)
	case a.url.Scheme == "fifo":
		return &fifo{path: a.url.Path}, nil
	}
	return newHTTP(a.url, &tls.Config{RootCAs: a.root, InsecureSkipVerify: a.skip, MinVersion: tls.VersionTLS12}), nil
}
