package statuspage

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
)

//go:embed page
var files embed.FS

// scripts are the parts of the page's script in the order in which they are joined. Later parts use earlier ones.
var scripts = [...]string{"text.js", "rows.js", "chart.js", "cards.js", "tables.js", "call.js", "main.js"}

// document is the page as it is served, with its policy.
type document struct {
	plain, packed []byte
	tag           string // changes with the page
	policy        string
}

// newDocument joins the parts of the page into one document.
func newDocument() *document {
	style := part("page.css")
	script := ""
	for _, name := range scripts {
		script += part(name)
	}
	text := strings.NewReplacer("/*STYLE*/", style, "/*SCRIPT*/", script).Replace(part("page.html"))
	sum := sha256.Sum256([]byte(text))
	return &document{
		plain: []byte(text), packed: compress([]byte(text)),
		tag: `W/"` + hex.EncodeToString(sum[:12]) + `"`,
		// The script and the style are allowed by their hashes, and nothing else is. So a script that an attacker gets
		// into the document doesn't run. The icon is a data: URL, because it shows the state; img-src allows no other
		// images.
		policy: "default-src 'none'; script-src '" + hash(script) + "'; style-src '" + hash(style) + "'; img-src data:; connect-src 'self'; " +
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
	}
}

// part returns a file of the page. The tests make sure that it exists.
func part(name string) string {
	text, err := files.ReadFile("page/" + name)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// hash returns the source expression of a text for a Content-Security-Policy.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (d *document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache") // the browser must ask each time whether it has changed
	h.Set("ETag", d.tag)
	if r.Header.Get("If-None-Match") == d.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	packed := wantsGzip(r)
	body := d.plain
	if packed {
		body = d.packed
	}
	send(w, "text/html; charset=utf-8", body, packed)
}
