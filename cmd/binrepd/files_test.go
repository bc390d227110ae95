package main

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxLines is where a file has more than one idea in it.
const maxLines = 400

// file is one file of the repository, its path relative to the root and with slashes.
type file struct {
	path string
	text []byte
}

// repository reads every file but git's own and what make builds.
func repository(t *testing.T) []file {
	t.Helper()
	root := moduleRoot(t)
	var files []file
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch rel {
		case ".git", "dist", "binrepd":
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		if ext := filepath.Ext(path); ext == ".test" || ext == ".prof" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files = append(files, file{filepath.ToSlash(rel), text})
		return nil
	})
	if err != nil {
		t.Fatal("read the repository:", err)
	}
	return files
}

// generated is the marker line of https://go.dev/s/generatedcode.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func (f file) is(extensions ...string) bool { return slices.Contains(extensions, filepath.Ext(f.path)) }

func (f file) base() string { return filepath.Base(f.path) }

// written tells of Go files that people wrote.
func (f file) written() bool { return f.is(".go") && !generated.Match(f.text) }

func TestFilesAreShort(t *testing.T) {
	for _, f := range repository(t) {
		if !f.written() && !f.is(".c", ".h") {
			continue
		}
		if lines := bytes.Count(f.text, []byte("\n")); lines > maxLines {
			t.Errorf("%s has %d lines, more than %d: divide it", f.path, lines, maxLines)
		}
	}
}

func TestFilesAreFormatted(t *testing.T) {
	t.Parallel()
	for _, f := range repository(t) {
		if !f.is(".go") {
			continue
		}
		formatted, err := format.Source(f.text)
		if err != nil {
			t.Errorf("%s: %v", f.path, err)
		} else if !bytes.Equal(formatted, f.text) {
			t.Errorf("%s is not as gofmt writes it", f.path)
		}
	}
}

func TestKernelCodeNamesItsLicence(t *testing.T) {
	const line = "// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0\n"
	for _, f := range repository(t) {
		if f.is(".c", ".h") && !bytes.HasPrefix(f.text, []byte(line)) {
			t.Errorf("%s doesn't begin with %q", f.path, line)
		}
	}
}

// TestNoPathsOfOneMachine finds what was written, or compiled in, with somebody's own folders.
func TestNoPathsOfOneMachine(t *testing.T) {
	t.Parallel()
	// Put together here, so that this file doesn't find itself.
	private := regexp.MustCompile(`(^|[^\w.~$})-])/(` + strings.Join([]string{"home", "root", "work", "Users"}, "|") + `)/\w`)
	for _, f := range repository(t) {
		if at := private.FindIndex(f.text); at != nil {
			t.Errorf("%s:%d names a folder of one machine: %q", f.path,
				1+bytes.Count(f.text[:at[0]], []byte("\n")), f.text[at[0]:min(at[1]+20, len(f.text))])
		}
	}
}

// TestCorporaHaveTheirTarget finds corpora whose fuzz function has gone or changed its name.
func TestCorporaHaveTheirTarget(t *testing.T) {
	targets := map[string]bool{}
	corpora := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	for _, f := range repository(t) {
		dir, target, found := strings.Cut(f.path, "/testdata/fuzz/")
		if found {
			target, _, _ = strings.Cut(target, "/")
			corpora[dir+" "+target] = true
		}
		if strings.HasSuffix(f.path, "_test.go") {
			for _, m := range function.FindAllSubmatch(f.text, -1) {
				targets[filepath.ToSlash(filepath.Dir(f.path))+" "+string(m[1])] = true
			}
		}
	}
	for c := range corpora {
		if !targets[c] {
			t.Errorf("testdata/fuzz has a corpus without its function: %s", c)
		}
	}
}

// linked are the package variables that the linker sets, see Makefile.
var linked = [...]string{"cmd/binrepd/version.go version", "cmd/binrepd/version.go commit"}

func TestGoHabits(t *testing.T) {
	t.Parallel()
	for _, f := range repository(t) {
		if !f.written() {
			continue
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, f.path, f.text, parser.ParseComments)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, i := range tree.Imports {
			name := strings.TrimSuffix(strings.TrimSuffix(f.base(), ".go"), "_test")
			if i.Path.Value == `"unsafe"` && !strings.HasSuffix(name, "_unsafe") {
				t.Errorf("%s imports unsafe: only files named *_unsafe.go may", f.path)
			}
		}
		for _, d := range tree.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					t.Errorf("%s: init() acts behind the reader's back; construct it where it is used", set.Position(d.Pos()))
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR && !strings.HasSuffix(f.path, "_test.go") {
					for _, name := range mutable(d) {
						if !slices.Contains(linked[:], f.path+" "+name) {
							t.Errorf("%s: package variable %s looks mutable: pass it, or make it a constant, an array or a function",
								set.Position(d.Pos()), name)
						}
					}
				}
			}
		}
	}
}

// mutable names the variables of a declaration that aren't, by their form, set once and only read: error values,
// compiled expressions, parsed constants, structs and tables in arrays, checks that a type has an interface, embedded files.
func mutable(d *ast.GenDecl) []string {
	var names []string
	for _, s := range d.Specs {
		v := s.(*ast.ValueSpec)
		if embeds(d.Doc) || embeds(v.Doc) {
			continue
		}
		for i, name := range v.Names {
			if name.Name != "_" && (i >= len(v.Values) || !readOnly(v.Values[i])) {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// readOnly tells of expressions whose value nobody changes.
func readOnly(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit:
		switch of := e.Type.(type) {
		case *ast.ArrayType:
			return of.Len != nil // a slice has none
		case *ast.Ident, *ast.SelectorExpr: // a struct
			return true
		}
	case *ast.SelectorExpr: // an alias of another package's sentinel: ErrClosed = os.ErrClosed
		return strings.HasPrefix(e.Sel.Name, "Err")
	case *ast.CallExpr:
		f, ok := e.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		pkg, ok := f.X.(*ast.Ident)
		if !ok {
			return false
		}
		return pkg.Name+"."+f.Sel.Name == "errors.New" || pkg.Name+"."+f.Sel.Name == "fmt.Errorf" ||
			(pkg.Name == "regexp" || pkg.Name == "netip") && strings.HasPrefix(f.Sel.Name, "Must")
	}
	return false
}

// TestMutable tries the rule on what it must find and what it must let pass.
func TestMutable(t *testing.T) {
	for _, test := range [...]struct {
		code string
		want []string
	}{
		{`var cache = map[string]int{}`, []string{"cache"}},
		{`var n int`, []string{"n"}},
		{`var list = []string{"a"}`, []string{"list"}},
		{`var a, b = 1, errors.New("b")`, []string{"a"}},
		{`var clock = time.Now`, []string{"clock"}},
		{`var table = [...]string{"a"}`, nil},
		{`var rule = T{A: 1}`, nil},
		{`var errX = errors.New("x")`, nil},
		{`var ErrClosed = os.ErrClosed`, nil},
		{`var _ io.Reader = (*T)(nil)`, nil},
		{`var form = regexp.MustCompile("a")`, nil},
	} {
		tree, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+test.code, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := mutable(tree.Decls[0].(*ast.GenDecl)); !slices.Equal(got, test.want) {
			t.Errorf("%s: found %q, want %q", test.code, got, test.want)
		}
	}
}
