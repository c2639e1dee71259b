package main_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A rule of the house. check gives one line per fault, beginning with path:line. bad is a small tree in which the rule finds a fault for each
// of want, no more and no fewer; good is one in which it finds none. A rule that cannot fail would be worth nothing.
type rule struct {
	name  string
	check func(*tree) []string
	bad   map[string]string
	want  []string // parts of the findings, in their order
	good  map[string]string
}

func TestHouse(t *testing.T) {
	repo := readTree(t)
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range r.check(repo) {
				t.Error(f)
			}
		})
	}
}

func TestHouseRulesCanFail(t *testing.T) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			found := r.check(mustGrow(t, r.bad))
			if len(found) != len(r.want) {
				t.Errorf("the bad tree gives %d findings, want %d:\n%s", len(found), len(r.want), strings.Join(found, "\n"))
			}
			for i := range min(len(found), len(r.want)) {
				if !strings.Contains(found[i], r.want[i]) {
					t.Errorf("finding %d is %q, want %q in it", i, found[i], r.want[i])
				}
			}
			if len(r.bad) == 0 || len(r.want) == 0 {
				t.Error("the rule has no bad tree: nobody knows that it can fail")
			}
			for _, f := range r.check(mustGrow(t, r.good)) {
				t.Errorf("the good tree is blamed: %s", f)
			}
		})
	}
}

func mustGrow(t *testing.T, files map[string]string) *tree {
	t.Helper()
	tr, err := grow(files)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// rules are the house rules of DESIGN.md and CONTRIBUTING.md. Floors and imports stand in floors_test.go.
func rules() []rule {
	return slices.Concat(sizeRules(), stateRules(), nameRules(), docRules(), wiringRules(), logRules(), metricRules(), textRules())
}

// Sizes.

const (
	maxFuncLines = 60
	maxFileLines = 400
	maxMethods   = 2
)

func sizeRules() []rule {
	long := func(n int) string { return "package x\n\nfunc f() {\n" + strings.Repeat("\tprintln()\n", n) + "}\n" }
	return []rule{
		{
			name:  "functions have 60 lines at most",
			check: func(t *tree) []string { return each(t, longFuncs) },
			bad:   map[string]string{"x/x.go": long(59)},
			want:  []string{"x/x.go:3: f has 61 lines, the limit is 60"},
			good:  map[string]string{"x/x.go": long(58), "x/x_test.go": long(100)},
		},
		{
			name: "files have 400 lines at most",
			check: func(t *tree) (out []string) {
				for _, f := range t.folders {
					for _, s := range f.files {
						if n := s.lines(); n > maxFileLines {
							out = append(out, fmt.Sprintf("%s:1: %d lines, the limit is %d: split it", s.path, n, maxFileLines))
						}
					}
				}
				return out
			},
			bad:  map[string]string{"x/x.go": "package x\n" + strings.Repeat("\n", 400)},
			want: []string{"x/x.go:1: 401 lines"},
			good: map[string]string{"x/x.go": "package x\n" + strings.Repeat("\n", 399), "x/x_test.go": "package x\n" + strings.Repeat("\n", 999)},
		},
		{
			name:  "interfaces have two methods at most",
			check: func(t *tree) []string { return each(t, wideInterfaces) },
			bad:   map[string]string{"x/x.go": "package x\ntype I interface { A(); B(); C() }"},
			want:  []string{"x/x.go:2: interface I has 3 methods"},
			good:  map[string]string{"x/x.go": "package x\ntype I interface { A(); B() }\ntype N interface { int | uint | string | bool }"},
		},
	}
}

func longFuncs(t *tree, f *folder, s *source) (out []string) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		name := ""
		switch n := n.(type) {
		case *ast.FuncDecl:
			name = n.Name.Name
		case *ast.FuncLit:
			name = "a function literal"
		default:
			return true
		}
		lines := t.fset.Position(n.End()).Line - t.fset.Position(n.Pos()).Line + 1
		if lines > maxFuncLines {
			out = append(out, t.at(n.Pos(), "%s has %d lines, the limit is %d", name, lines, maxFuncLines))
		}
		return true
	})
	return out
}

func wideInterfaces(t *tree, f *folder, s *source) (out []string) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if it, ok := spec.Type.(*ast.InterfaceType); ok {
			methods := 0
			for _, m := range it.Methods.List {
				methods += len(m.Names)
			}
			if methods > maxMethods {
				out = append(out, t.at(spec.Pos(), "interface %s has %d methods, the limit is %d: take functions instead", spec.Name.Name, methods, maxMethods))
			}
		}
		return true
	})
	return out
}

// State.

func stateRules() []rule {
	return []rule{
		{
			name:  "no init functions",
			check: func(t *tree) []string { return each(t, initFuncs) },
			bad:   map[string]string{"x/x.go": "package x\nfunc init() {}"},
			want:  []string{"x/x.go:2: init()"},
			good:  map[string]string{"x/x.go": "package x\ntype T int\nfunc (T) init() {}"},
		},
		{
			name: "package variables are sentinels, compiled tables and embeds, and never written",
			check: func(t *tree) []string {
				return append(each(t, packageVars), each(t, writtenVars)...)
			},
			bad: map[string]string{"x/x.go": `package x
import ("net/http"; "sync"; "time"; "github.com/prometheus/client_golang/prometheus"; "log/slog")
var count int
var name = "x"
var cache = map[string]int{}
var seen = make(map[string]int)
var mu = sync.Mutex{}
var client = &http.Client{}
var now = time.Now
var total = prometheus.NewCounter(prometheus.CounterOpts{})
var log = slog.Default()
var table = map[string]int{"a": 1}
var hook = func() {}
func f() { table["b"] = 2 }
var state = newState()
func newState() *int { return nil }
`},
			want: []string{
				"x.go:3: variable count", "x.go:4: variable name", "x.go:5: variable cache", "x.go:6: variable seen", "x.go:7: variable mu",
				"x.go:8: variable client", "x.go:9: variable now", "x.go:10: variable total", "x.go:11: variable log", "x.go:13: variable hook", "x.go:15: variable state",
				"x.go:14: table is written",
			},
			good: map[string]string{
				"x/x.go": `package x
import ("embed"; "errors"; "regexp"; "strings"; "sync")
var ErrGone = errors.New("gone")
var line = regexp.MustCompile("x")
//go:embed x.go
var page embed.FS
var table = map[string]int{"a": 1}
var set = buildSet("a")
var rep = strings.NewReplacer("a", "b")
var months = monthsOf("jan feb")
var runes = newRuneTables()
var codes = [...]int{1, 2}
var _ error = (*bad)(nil)
type bad struct{ mu sync.Mutex }
func (*bad) Error() string { return "" }
func monthsOf(s string) []string { return strings.Fields(s) }
func newRuneTables() [9]int { return [9]int{} }
func buildSet(s string) map[string]bool { table := map[string]bool{}; table[s] = true; return table }
`,
				"cmd/tocsin/main.go": "package main\nvar version = \"\" // set by the linker",
			},
		},
		{
			name:  "no registration by blank import",
			check: func(t *tree) []string { return each(t, blankImports) },
			bad:   map[string]string{"x/x.go": "package x\nimport _ \"image/png\""},
			want:  []string{"x/x.go:2: blank import of image/png"},
			good:  map[string]string{"x/x.go": "package x\nimport (_ \"embed\"; _ \"time/tzdata\")"},
		},
		{
			name:  "tests skip only when shared data is missing",
			check: skips,
			bad: map[string]string{"x/x_test.go": `package x
func TestA(t *testing.T) { t.Skip("no server") }
func TestB(t *testing.T) { t.Skipf("no %s", "server") }
func TestC(t *testing.T) { t.SkipNow() }
func TestD(t *testing.T) { if now() { t.Skip("later") } }
`},
			want: []string{"x_test.go:2:", "x_test.go:3:", "x_test.go:4:", "x_test.go:5:"},
			good: map[string]string{"x/x_test.go": `package x
func TestA(t *testing.T) { t.Skip("data test left out: no data") }
func TestB(t *testing.T) { t.Skipf("data test left out: %s", "no data") }
func TestC(t *testing.T) { t.Skip("data test left out: " + why) }
func TestD(t *testing.T) { if testing.Short() { t.Skip("takes a minute") } }
`},
		},
		{
			name:  "context.Background only in cmd and tests",
			check: func(t *tree) []string { return each(t, roots) },
			bad:   map[string]string{"x/x.go": "package x\nimport \"context\"\nfunc f() { _ = context.Background(); _ = context.TO" + "DO() }"},
			want:  []string{"x/x.go:3: context.Background", "x/x.go:3: context.TO"},
			good: map[string]string{
				"cmd/tocsin/main.go":   "package main\nimport \"context\"\nfunc f() { _ = context.Background() }",
				"x/x_test.go":          "package x\nimport \"context\"\nfunc f() { _ = context.Background() }",
				"bus/bustest/start.go": "package bustest\nimport \"context\"\nfunc f() { _ = context.Background() }",
			},
		},
	}
}

func initFuncs(t *tree, f *folder, s *source) (out []string) {
	for _, d := range s.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			out = append(out, t.at(fn.Pos(), "init() hides work from the reader of main: call it from New"))
		}
	}
	return out
}

func packageVars(t *tree, f *folder, s *source) (out []string) {
	for _, d := range s.ast.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, spec := range gen.Specs {
			v := spec.(*ast.ValueSpec)
			if embedded(gen.Doc) || embedded(v.Doc) {
				continue
			}
			for i, name := range v.Names {
				if name.Name == "_" || linkerVar(f, name.Name) {
					continue
				}
				var init ast.Expr
				if i < len(v.Values) {
					init = v.Values[i]
				}
				if why := notATable(init); why != "" {
					out = append(out, t.at(name.Pos(), "variable %s: %s", name.Name, why))
				}
			}
		}
	}
	return out
}

// linkerVar is the one variable that the linker sets: -X main.version.
func linkerVar(f *folder, name string) bool { return f.dir == "cmd/tocsin" && name == "version" }

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// constructors make values that nobody changes afterwards.
const constructors = " errors.New fmt.Errorf strings.NewReplacer base32.NewEncoding base64.NewEncoding reflect.TypeFor reflect.TypeOf rangetable.Merge rangetable.New sync.OnceValue" +
	" strings.Fields strings.Split maps.Clone slices.Sorted slices.Concat time.FixedZone cases.Fold transform.Chain runes.In runes.Remove language.NewMatcher "

func notATable(init ast.Expr) string {
	switch x := init.(type) {
	case nil:
		return "a zero value waits to be written: make it a field"
	case *ast.CompositeLit:
		return mutableLit(x)
	case *ast.UnaryExpr:
		if lit, ok := x.X.(*ast.CompositeLit); ok && x.Op == token.AND {
			return mutableLit(lit)
		}
	case *ast.FuncLit:
		return "a function in a variable can be replaced: declare it"
	case *ast.BasicLit, *ast.BinaryExpr:
		return "make it a constant"
	case *ast.CallExpr:
		return tableCall(x)
	}
	return "neither sentinel, table, expression nor embed: make it a field or a function"
}

func mutableLit(x *ast.CompositeLit) string {
	switch pkg := strings.SplitN(types.ExprString(x.Type), ".", 2)[0]; pkg {
	case "sync", "atomic", "http", "prometheus", "rand":
		return "shared state of package " + pkg + ": make it a field"
	}
	if len(x.Elts) == 0 {
		return "an empty table waits to be written: make it a field"
	}
	return ""
}

func tableCall(x *ast.CallExpr) string {
	switch fun := x.Fun.(type) {
	case *ast.FuncLit:
		return ""
	case *ast.IndexExpr: // generic call
		return tableCall(&ast.CallExpr{Fun: fun.X})
	case *ast.Ident:
		if buildsTable(fun.Name) {
			return ""
		}
	case *ast.SelectorExpr:
		if call, ok := fun.X.(*ast.CallExpr); ok { // a.New(...).With(...)
			return tableCall(call)
		}
		if strings.HasPrefix(fun.Sel.Name, "Must") || strings.Contains(constructors, " "+types.ExprString(fun)+" ") {
			return ""
		}
	}
	return types.ExprString(x.Fun) + " is not known to make a constant table: name it after the table that it builds, or make it a field"
}

// buildsTable judges a function of the package by its name: what it makes is a table, not a thing that lives.
func buildsTable(name string) bool {
	return name != "make" && name != "new" && (!living.MatchString(name) || strings.HasSuffix(strings.TrimSuffix(name, "s"), "Table"))
}

var living = regexp.MustCompile(`^(new|open|start|load|get|dial|read|default|[A-Z])`)

func writtenVars(t *tree, f *folder, s *source) (out []string) {
	check := func(e ast.Expr) {
		id := rootIdent(e)
		if id == nil {
			return
		}
		if v, ok := f.info.Uses[id].(*types.Var); ok && f.types != nil && v.Parent() == f.types.Scope() {
			out = append(out, t.at(id.Pos(), "%s is written after the start: package variables are read-only", id.Name))
		}
	}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					check(e)
				}
			}
		case *ast.IncDecStmt:
			check(n.X)
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") {
				check(n.Args[0])
			}
		}
		return true
	})
	return out
}

func rootIdent(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func blankImports(t *tree, f *folder, s *source) (out []string) {
	for _, im := range s.ast.Imports {
		p := importPath(im)
		if im.Name != nil && im.Name.Name == "_" && p != "embed" && p != "time/tzdata" {
			out = append(out, t.at(im.Pos(), "blank import of %s: register nothing behind the reader's back", p))
		}
	}
	return out
}

// skips finds tests that leave themselves out for another reason than missing data or -short.
func skips(t *tree) (out []string) {
	for _, f := range t.folders {
		for _, s := range f.tests {
			short := map[ast.Node]bool{}
			ast.Inspect(s.ast, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.IfStmt:
					if strings.Contains(types.ExprString(n.Cond), "testing.Short()") {
						short[n.Body] = true
					}
				case *ast.BlockStmt:
					return !short[n]
				case *ast.CallExpr:
					sel, ok := n.Fun.(*ast.SelectorExpr)
					if ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) && !strings.HasPrefix(leftmost(n.Args), "data test left out: ") {
						out = append(out, t.at(n.Pos(), `a skip that is not "data test left out: ...": start what the test needs`))
					}
				}
				return true
			})
		}
	}
	return out
}

// leftmost is the string literal with which the first argument begins.
func leftmost(args []ast.Expr) string {
	if len(args) == 0 {
		return ""
	}
	e := args[0]
	for {
		b, ok := e.(*ast.BinaryExpr)
		if !ok {
			break
		}
		e = b.X
	}
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	text, _ := strconv.Unquote(lit.Value)
	return text
}

func roots(t *tree, f *folder, s *source) (out []string) {
	if strings.HasPrefix(f.dir, "cmd/") || f.forTests() {
		return nil
	}
	name := importName(s, "context")
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && isIdent(sel.X, name) && (sel.Sel.Name == "Background" || sel.Sel.Name == "TO"+"DO") {
			out = append(out, t.at(n.Pos(), "context.%s: take the caller's context", sel.Sel.Name))
		}
		return true
	})
	return out
}

// Names and comments.

func nameRules() []rule {
	return []rule{{
		name: "packages are named after what they own",
		check: func(t *tree) (out []string) {
			for _, f := range t.folders {
				if f.name == "" {
					continue
				}
				if slices.Contains(vague, f.name) || strings.ContainsAny(f.name, "_-") || strings.ToLower(f.name) != f.name {
					out = append(out, fmt.Sprintf("%s:1: package %s: name it after what it owns", f.dir, f.name))
				}
				if f.name != path.Base(f.dir) && f.name != "main" {
					out = append(out, fmt.Sprintf("%s:1: package %s lives in folder %s: give both one name", f.dir, f.name, path.Base(f.dir)))
				}
			}
			return out
		},
		bad:  map[string]string{"util/a.go": "package util", "a_b/a.go": "package a_b", "x/a.go": "package y"},
		want: []string{"a_b:1: package a_b", "util:1: package util", "x:1: package y lives in folder x"},
		good: map[string]string{"news/news.go": "package news", "cmd/tocsin/main.go": "package main"},
	}}
}

var vague = []string{"util", "utils", "common", "helper", "helpers", "type", "types", "model", "models", "misc", "base", "shared", "lib"}

func docRules() []rule {
	return []rule{
		{
			name:  "each package has one comment, in the file named after it",
			check: packageComments,
			bad: map[string]string{
				"a/a.go": "package a", "b/b.go": "// Package b is.\npackage b", "b/c.go": "// Package b is too.\npackage b",
				"d/e.go": "// Package d is.\npackage d", "f/f.go": "// f is.\npackage f",
			},
			want: []string{"a/a.go:1: package a has no comment", "b/c.go:2: a second comment", "d:1: no file d.go", "f/f.go:1: the comment of package f"},
			good: map[string]string{
				"a/a.go": "// Package a is.\npackage a", "a/b.go": "package a", "cmd/tocsin/main.go": "// Command tocsin is.\npackage main",
				"watchlists/embed.go": "// Package watchlists holds.\npackage watchlists", "x/x_test.go": "package x",
			},
		},
		{
			name:  "every exported name has a sentence",
			check: func(t *tree) []string { return each(t, exportedDocs) },
			bad: map[string]string{"x/x.go": `package x
func A() {}
// makes b
func B() {}
type C struct{}
func (C) D() {}
const E = 1
var F = 1
// G is
type G int
`},
			want: []string{"x.go:2: A has no comment", "x.go:4: the comment of B", "x.go:5: C has no comment", "x.go:6: D has no comment", "x.go:7: E", "x.go:8: F", "x.go:10: the comment of G"},
			good: map[string]string{"x/x.go": `package x
// A does it.
func A() {}
// A T is a thing.
type T struct{}
// String is the name.
func (T) String() string { return "" }
type hidden struct{}
func (hidden) Close() {}
// Names.
const (
	E = 1
	G = 2
)
const H = 1 // the limit in bytes
`},
		},
	}
}

func packageComments(t *tree) (out []string) {
	for _, f := range t.folders {
		if f.name == "" {
			continue
		}
		home := f.dir + "/" + homeFile(f)
		found := false
		for _, s := range f.files {
			switch doc := s.ast.Doc; {
			case s.path != home:
				if doc != nil {
					out = append(out, t.at(s.ast.Package, "a second comment of package %s: it belongs to %s", f.name, homeFile(f)))
				}
			case doc == nil:
				found = true
				out = append(out, t.at(s.ast.Package, "package %s has no comment: what it owns, promises and leaves to others", f.name))
			default:
				found = true
				if !strings.HasPrefix(doc.Text(), "Package "+f.name+" ") && f.name != "main" {
					out = append(out, t.at(doc.Pos(), "the comment of package %s does not begin with its name", f.name))
				}
			}
		}
		if !found {
			out = slices.DeleteFunc(out, func(s string) bool { return strings.HasPrefix(s, f.dir+"/") && strings.Contains(s, "a second comment") })
			out = append(out, fmt.Sprintf("%s:1: no file %s to hold the package comment", f.dir, homeFile(f)))
		}
	}
	return out
}

// homeFile is the file that holds the package comment. watchlists is a folder of data with one Go file.
func homeFile(f *folder) string {
	switch f.name {
	case "main":
		return "main.go"
	case "watchlists":
		return "embed.go"
	}
	return f.name + ".go"
}

func exportedDocs(t *tree, f *folder, s *source) (out []string) {
	named := func(id *ast.Ident, doc *ast.CommentGroup) {
		if !id.IsExported() {
			return
		}
		text := strings.TrimSpace(doc.Text())
		first, _, _ := strings.Cut(text, "\n\n")
		body := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(text, "A "), "An "), "The ")
		switch {
		case text == "":
			out = append(out, t.at(id.Pos(), "%s has no comment", id.Name))
		case !strings.HasPrefix(body, id.Name) && !strings.HasPrefix(text, id.Name), !strings.ContainsAny(first, ".:"):
			out = append(out, t.at(id.Pos(), "the comment of %s is not a sentence that begins with its name", id.Name))
		}
	}
	for _, d := range s.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || ast.IsExported(rootIdent(receiver(d)).Name) {
				named(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Doc == nil && spec.Comment == nil && !d.Lparen.IsValid() {
						named(spec.Name, d.Doc)
					} else if spec.Comment == nil {
						named(spec.Name, spec.Doc)
					}
				case *ast.ValueSpec:
					if d.Doc == nil && spec.Doc == nil && spec.Comment == nil && spec.Names[0].IsExported() {
						out = append(out, t.at(spec.Pos(), "%s has no comment, nor has its group", spec.Names[0].Name))
					}
				}
			}
		}
	}
	return out
}

func receiver(d *ast.FuncDecl) ast.Expr {
	x := d.Recv.List[0].Type
	if star, ok := x.(*ast.StarExpr); ok {
		x = star.X
	}
	if list, ok := x.(*ast.IndexListExpr); ok {
		x = list.X
	}
	return x
}

// Wiring.

func wiringRules() []rule {
	return []rule{
		{
			name:  "HTTP clients are built in guard.go only",
			check: func(t *tree) []string { return each(t, clients) },
			bad: map[string]string{"fetcher/get.go": `package fetcher
import "net/http"
var a = http.Client{}
var b = &http.Transport{}
var c = new(http.Client)
var d http.Client
var e = http.DefaultClient
func f() { http.Get("x") }
type g struct { http.Transport }
`},
			want: []string{"get.go:3: http.Client", "get.go:4: http.Transport", "get.go:5: http.Client", "get.go:6: http.Client", "get.go:7: http.DefaultClient", "get.go:8: http.Get", "get.go:9: http.Transport"},
			good: map[string]string{
				"cmd/tocsin/guard.go":           "package main\nimport \"net/http\"\nvar c = &http.Client{Transport: &http.Transport{}}",
				"cmd/tocsin/newsroom/server.go": "package newsroom\nimport \"net/http\"\nvar c = &http.Client{}",
				"fetcher/get.go":                "package fetcher\nimport \"net/http\"\ntype T struct { c *http.Client }\nfunc New(c *http.Client) *T { return &T{c} }",
				"fetcher/get_test.go":           "package fetcher\nimport \"net/http\"\nvar c = &http.Client{}",
			},
		},
		{
			name:  "the program's logger is handed in",
			check: func(t *tree) []string { return each(t, globalLoggers) },
			bad:   map[string]string{"x/x.go": "package x\nimport (\"log\"; \"log/slog\")\nfunc f() { slog.Info(\"a\"); slog.Default(); log.Print() }"},
			want:  []string{"x/x.go:2: import of log", "x/x.go:3: slog.Info", "x/x.go:3: slog.Default"},
			good: map[string]string{
				"x/x.go":             "package x\nimport \"log/slog\"\nfunc f(l *slog.Logger) { l.Info(\"a\"); _ = slog.String(\"feed\", \"x\") }",
				"cmd/tocsin/main.go": "package main\nimport \"log/slog\"\nfunc f() { slog.SetDefault(nil) }",
			},
		},
	}
}

func clients(t *tree, f *folder, s *source) (out []string) {
	if s.path == "cmd/tocsin/guard.go" || f.dir == "cmd/tocsin/newsroom" || f.forTests() {
		return nil
	}
	name := importName(s, "net/http")
	if name == "" {
		return nil
	}
	pointed := map[ast.Node]bool{} // types behind a star are only named, not built
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StarExpr:
			pointed[n.X] = true
		case *ast.TypeAssertExpr:
			pointed[n.Type] = true
		case *ast.SelectorExpr:
			if !isIdent(n.X, name) || pointed[n] {
				return true
			}
			switch n.Sel.Name {
			case "Client", "Transport", "DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm":
				out = append(out, t.at(n.Pos(), "http.%s: take the guarded client from guard.go", n.Sel.Name))
			}
		}
		return true
	})
	return out
}

func globalLoggers(t *tree, f *folder, s *source) (out []string) {
	if strings.HasPrefix(f.dir, "cmd/") || f.forTests() {
		return nil
	}
	for _, im := range s.ast.Imports {
		if importPath(im) == "log" {
			out = append(out, t.at(im.Pos(), "import of log: use the *slog.Logger that is handed in"))
		}
	}
	name := importName(s, "log/slog")
	ast.Inspect(s.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if ok && isIdent(sel.X, name) && (logMethods[sel.Sel.Name] != 0 || sel.Sel.Name == "Default" || sel.Sel.Name == "SetDefault") {
			out = append(out, t.at(n.Pos(), "slog.%s: use the *slog.Logger that is handed in", sel.Sel.Name))
		}
		return true
	})
	return out
}

// Logging.

// logKeys is the closed list. url is for redacted URLs only.
const logKeys = " component feed watchlist entity item match story alert channel route delivery attempt dur status reason file line err count url "

// logMethods gives the position of the first key among the arguments; the message stands before it.
var logMethods = map[string]int{
	"Debug": 1, "Info": 1, "Warn": 1, "Error": 1,
	"DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2,
	"Log": 3, "LogAttrs": 3,
}

func logRules() []rule {
	const head = "package x\nimport \"log/slog\"\n"
	return []rule{{
		name:  "log lines have constant lower-case messages and keys of the closed list",
		check: func(t *tree) []string { return each(t, logCalls) },
		bad: map[string]string{"x/x.go": head + `func f(l *slog.Logger, s string, k string) {
	l.Info("Sent alert")
	l.Info(s)
	l.Info("sent", "alertID", s)
	l.Info("sent", k, s)
	l.With("thing", s).Warn("slow", slog.String("who", s))
	l.Error("bad", "err")
	l.Info("sent " + s)
}`},
		want: []string{
			`x.go:4: message "Sent alert"`, "x.go:5: the message is not constant", `x.go:6: key "alertID"`, "x.go:7: a key is not constant",
			`x.go:8: key "thing"`, `x.go:8: key "who"`, `x.go:9: key "err" has no value`, "x.go:10: the message is not constant",
		},
		good: map[string]string{"x/x.go": head + `const keyFeed = "feed"
type bus struct{ log *slog.Logger }
type other struct{}
func (other) Error(s string, a ...any) {}
func f(b *bus, s string, args ...any) {
	b.log.Info("alert sent over SMTP", keyFeed, s, "err", nil, slog.Int("count", 1), "dur", 1)
	b.log.With("component", "bus").Debug("read", args...)
	other{}.Error("Not a log line", "thing", 1)
}`},
	}}
}

func logCalls(t *tree, f *folder, s *source) (out []string) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		fn := slogFunc(f, call)
		if fn == "" {
			return true
		}
		first, logs := logMethods[fn]
		switch {
		case logs && len(call.Args) >= first:
			if msg, ok := constString(f, call.Args[first-1]); !ok {
				out = append(out, t.at(call.Args[first-1].Pos(), "the message is not constant: put what varies under a key"))
			} else if r := []rune(msg + "  "); 'A' <= r[0] && r[0] <= 'Z' && !('A' <= r[1] && r[1] <= 'Z') || strings.HasSuffix(msg, ".") {
				out = append(out, t.at(call.Args[first-1].Pos(), "message %q: write lower case without a full stop", msg))
			}
			out = append(out, badKeys(t, f, call, first)...)
		case fn == "With":
			out = append(out, badKeys(t, f, call, 0)...)
		case attrMakers[fn] && len(call.Args) > 0:
			out = append(out, badKey(t, f, call.Args[0])...)
		}
		return true
	})
	return out
}

var attrMakers = map[string]bool{
	"String": true, "Int": true, "Int64": true, "Uint64": true, "Float64": true, "Bool": true, "Time": true, "Duration": true, "Any": true, "Group": true,
}

// slogFunc is the name of the slog function or Logger method that is called, "" for any other call.
func slogFunc(f *folder, call *ast.CallExpr) string {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	fn, ok := f.info.Uses[sel.Sel].(*types.Func)
	if !ok || fn.Pkg() == nil || fn.Pkg().Path() != "log/slog" {
		return ""
	}
	if recv := fn.Signature().Recv(); recv != nil && types.TypeString(recv.Type(), nil) != "*log/slog.Logger" {
		return ""
	}
	return fn.Name()
}

func badKeys(t *tree, f *folder, call *ast.CallExpr, from int) (out []string) {
	for i := from; i < len(call.Args); i++ {
		if call.Ellipsis.IsValid() && i == len(call.Args)-1 {
			break
		}
		tv := f.info.Types[call.Args[i]]
		if tv.Type == nil || !isString(tv.Type) {
			continue // an Attr, or a value whose type is not ours to know
		}
		out = append(out, badKey(t, f, call.Args[i])...)
		if i++; i >= len(call.Args) {
			key, _ := constString(f, call.Args[i-1])
			out = append(out, t.at(call.Args[i-1].Pos(), "key %q has no value", key))
		}
	}
	return out
}

func badKey(t *tree, f *folder, e ast.Expr) []string {
	key, ok := constString(f, e)
	if !ok {
		return []string{t.at(e.Pos(), "a key is not constant")}
	}
	if key == "" || strings.Contains(key, " ") || !strings.Contains(logKeys, " "+key+" ") {
		return []string{t.at(e.Pos(), "key %q is not one of%s", key, strings.TrimRight(logKeys, " "))}
	}
	return nil
}

func isString(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsString != 0
}

func constString(f *folder, e ast.Expr) (string, bool) {
	v := f.info.Types[e].Value
	if v == nil || v.Kind() != constant.String {
		return "", false
	}
	return constant.StringVal(v), true
}

// Metrics.

func metricRules() []rule {
	const head = "package x\nimport \"github.com/prometheus/client_golang/prometheus\"\n"
	return []rule{
		{
			name: "metrics are named tocsin_<what>_<unit>",
			check: func(t *tree) (out []string) {
				for _, m := range metricNames(t) {
					if !metricName.MatchString(m.name) {
						out = append(out, t.at(m.pos, "metric %q: names begin with tocsin_ and hold lower-case letters, digits and _", m.name))
					}
				}
				return out
			},
			bad: map[string]string{"x/metrics.go": head + `var a = prometheus.CounterOpts{Name: "items_total"}
var b = prometheus.NewDesc("feedState", "", nil, nil)
func c(name string) prometheus.GaugeOpts { return prometheus.GaugeOpts{Name: name} }
func d(name string) prometheus.GaugeOpts { return prometheus.GaugeOpts{Name: name} }
var e = d("feeds")
`},
			want: []string{`metrics.go:3: metric "items_total"`, `metrics.go:4: metric "feedState"`, `metrics.go:5: metric "name"`, `metrics.go:7: metric "feeds"`},
			good: map[string]string{"x/metrics.go": head + `const ns = "tocsin_"
var a = prometheus.CounterOpts{Name: "tocsin_items_total"}
var b = prometheus.CounterOpts{Namespace: "tocsin", Name: "items_total"}
func c(name string) prometheus.GaugeOpts { return prometheus.GaugeOpts{Name: ns + name} }
func d(name string) prometheus.GaugeOpts { return prometheus.GaugeOpts{Namespace: "tocsin", Name: name} }
func e(help, name string) prometheus.GaugeOpts { return prometheus.GaugeOpts{Name: name} }
func f() {
	g := func(name string) prometheus.GaugeOpts { return prometheus.GaugeOpts{Name: name} }
	g("tocsin_feeds"); c("feeds"); d("feeds"); e("x", "tocsin_feeds")
	for _, n := range []string{"stories"} { _ = prometheus.NewDesc(ns + n, "", nil, nil) }
}
`},
		},
		{
			name:  "metrics named in rules and dashboards are registered",
			check: unknownMetrics,
			bad: map[string]string{
				"x/metrics.go":                     head + `var a = prometheus.CounterOpts{Name: "tocsin_items_total"}`,
				"deploy/prometheus/rules.yml":      "expr: rate(tocsin_items_total[5m]) > tocsin_feed_state\n",
				"deploy/grafana/dashboards/a.json": "{\"expr\":\n\"sum(tocsin_items_total_bucket)\"}",
			},
			want: []string{"a.json:2: metric tocsin_items_total_bucket", "rules.yml:1: metric tocsin_feed_state"},
			good: map[string]string{
				"x/metrics.go": head + `var a = prometheus.CounterOpts{Namespace: "tocsin", Name: "items_total"}
var b = prometheus.HistogramOpts{Name: "tocsin_seen_to_alert_seconds"}
func c(name string) prometheus.GaugeOpts { return prometheus.GaugeOpts{Name: "tocsin_" + name} }
var d = c("feed_state")
`,
				"deploy/prometheus/rules.yml": "expr: tocsin_items_total + tocsin_seen_to_alert_seconds_bucket + tocsin_feed_state\n",
			},
		},
	}
}

var metricName = regexp.MustCompile(`^tocsin_[a-z0-9]+(_[a-z0-9]+)*$`)

type metric struct {
	name      string
	histogram bool
	pos       token.Pos
}

// metricNames finds what is handed to client_golang as a name. A name that is a parameter of a helper is looked up where the helper is called.
func metricNames(t *tree) (out []metric) {
	for _, f := range t.folders {
		for _, s := range f.files {
			prom := importName(s, prometheusModule)
			if prom == "" {
				continue
			}
			ast.Inspect(s.ast, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CompositeLit:
					sel, ok := n.Type.(*ast.SelectorExpr)
					if ok && isIdent(sel.X, prom) && strings.HasSuffix(sel.Sel.Name, "Opts") {
						histogram := sel.Sel.Name == "HistogramOpts" || sel.Sel.Name == "SummaryOpts"
						prefix, name := optsName(f, n)
						out = append(out, named(f, s, prefix, name, histogram)...)
					}
				case *ast.CallExpr:
					if sel, ok := n.Fun.(*ast.SelectorExpr); ok && isIdent(sel.X, prom) && sel.Sel.Name == "NewDesc" && len(n.Args) > 0 {
						out = append(out, named(f, s, "", n.Args[0], false)...)
					}
				}
				return true
			})
		}
	}
	return out
}

// optsName gives the constant prefix (namespace and subsystem) and the name of an Opts literal. name is nil in options that are embedded in others.
func optsName(f *folder, lit *ast.CompositeLit) (prefix string, name ast.Expr) {
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		switch types.ExprString(kv.Key) {
		case "Namespace", "Subsystem":
			c, _ := constString(f, kv.Value)
			prefix += c + "_"
		case "Name":
			name = kv.Value
		}
	}
	return prefix, name
}

// named resolves a name: a constant, or prefix + parameter of a helper. What cannot be resolved is given as its source text, which is no name.
func named(f *folder, s *source, prefix string, name ast.Expr, histogram bool) []metric {
	if name == nil {
		return nil
	}
	if c, ok := constString(f, name); ok {
		return []metric{{prefix + c, histogram, name.Pos()}}
	}
	last := name
	switch x := name.(type) {
	case *ast.BinaryExpr: // "tocsin_" + name
		c, _ := constString(f, x.X)
		prefix, last = prefix+c, x.Y
	case *ast.CallExpr: // BuildFQName("tocsin", "", name)
		if strings.HasSuffix(types.ExprString(x.Fun), ".BuildFQName") && len(x.Args) == 3 {
			c, _ := constString(f, x.Args[0])
			prefix, last = prefix+c+"_", x.Args[2]
		}
	}
	var out []metric
	for _, arg := range handedIn(f, last) {
		if c, ok := constString(f, arg); ok {
			out = append(out, metric{prefix + c, histogram, arg.Pos()})
		}
	}
	if len(out) == 0 && strings.HasPrefix(prefix, module+"_") {
		out = literalsAsNames(s, prefix, histogram)
	}
	if len(out) == 0 {
		out = []metric{{types.ExprString(name), histogram, name.Pos()}}
	}
	return out
}

// handedIn gives the arguments that the package's calls hand in for a parameter.
func handedIn(f *folder, param ast.Expr) (args []ast.Expr) {
	id, ok := param.(*ast.Ident)
	if !ok || f.info.Uses[id] == nil {
		return nil
	}
	fn, index := parameterOf(f, f.info.Uses[id])
	if fn == nil {
		return nil
	}
	for _, s := range f.files {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || index >= len(call.Args) {
				return true
			}
			callee, _ := call.Fun.(*ast.Ident)
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
				callee = sel.Sel
			}
			if callee != nil && f.info.Uses[callee] == fn {
				args = append(args, call.Args[index])
			}
			return true
		})
	}
	return args
}

// parameterOf finds the function, declared or kept in a variable, whose parameter v is, and the position of v.
func parameterOf(f *folder, v types.Object) (fn types.Object, index int) {
	match := func(name *ast.Ident, t *ast.FuncType) {
		i := 0
		for _, field := range t.Params.List {
			for _, p := range field.Names {
				if f.info.Defs[p] == v {
					fn, index = f.info.Defs[name], i
				}
				i++
			}
		}
	}
	for _, s := range f.files {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				match(n.Name, n.Type)
			case *ast.AssignStmt:
				for i, r := range n.Rhs {
					lit, ok := r.(*ast.FuncLit)
					if name, isName := n.Lhs[min(i, len(n.Lhs)-1)].(*ast.Ident); ok && isName {
						match(name, lit.Type)
					}
				}
			}
			return true
		})
	}
	return fn, index
}

// literalsAsNames is for names that come from a table: every literal of the file that could be one is taken for one.
func literalsAsNames(s *source, prefix string, histogram bool) (out []metric) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil && metricName.MatchString(prefix+text) {
				out = append(out, metric{prefix + text, histogram, lit.Pos()})
			}
		}
		return true
	})
	return out
}

var metricUse = regexp.MustCompile(`\btocsin_[a-z0-9_]*[a-z0-9]\b`)

func unknownMetrics(t *tree) (out []string) {
	known := map[string]bool{}
	for _, m := range metricNames(t) {
		known[m.name] = true
		if m.histogram {
			known[m.name+"_bucket"], known[m.name+"_sum"], known[m.name+"_count"] = true, true, true
		}
	}
	for _, s := range t.files {
		if !strings.HasPrefix(s.path, "deploy/prometheus/") && !strings.HasPrefix(s.path, "deploy/grafana/") {
			continue
		}
		for i, line := range strings.Split(s.text, "\n") {
			for _, use := range metricUse.FindAllString(line, -1) {
				if !known[use] {
					out = append(out, fmt.Sprintf("%s:%d: metric %s is registered nowhere", s.path, i+1, use))
				}
			}
		}
	}
	return out
}

// Text of every tracked file.

func textRules() []rule {
	todo, fixme := "TO"+"DO", "FIX"+"ME"
	return []rule{
		{
			name: "nothing is left unfinished",
			check: func(t *tree) []string {
				return grep(t, regexp.MustCompile(`\b(`+todo+`|`+fixme+`|XX`+`X)\b`), "finish it or write it down in ROADMAP or an issue")
			},
			bad:  map[string]string{"x/x.go": "package x\n// " + todo + ": more", "README.md": "a\nb " + fixme + "\n"},
			want: []string{"README.md:2: " + fixme, "x/x.go:2: " + todo},
			good: map[string]string{"README.md": "mastodon " + strings.ToLower(todo)},
		},
		{
			name: "no paths of one machine and no registry hosts",
			check: func(t *tree) []string {
				return append(grep(t, machinePath(), "a path of one machine"), grep(t, registryHost(), "a registry's host")...)
			},
			bad: map[string]string{
				"a.md": "see /wo" + "rk/main/x", "b.yaml": "dir: /ro" + "ot/go", "c.sh": "cd /ho" + "me/ann/x\nGOPROXY=https://proxy.gol" + "ang.org",
			},
			want: []string{"a.md:1: /wo" + "rk", "b.yaml:1: /ro" + "ot", "c.sh:1: /ho" + "me", "c.sh:2: proxy.gol" + "ang.org"},
			good: map[string]string{"a.md": "https://example.org/wo" + "rk/1 and a/ro" + "ot/b, /var/lib/tocsin, ../shared/data"},
		},
	}
}

func machinePath() *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[^\w./:>-])(/(?:wo` + `rk|ro` + `ot|ho` + `me/\w+|Us` + `ers/\w+|tm` + `p/t|tm` + `p/bash_jobs)/)`)
}

func registryHost() *regexp.Regexp {
	return regexp.MustCompile(`((?:proxy|sum)\.gol` + `ang\.org|goproxy\.\w+|registry\.np` + `mjs\.org|registry\.ya` + `rnpkg\.com|(?:files\.)?py` + `pi\.(?:org|python)|pythonho` +
		`sted\.org|(?:static|index)\.cra` + `tes\.io|deb\.deb` + `ian\.org|rubyg` + `ems\.org)`)
}

func grep(t *tree, re *regexp.Regexp, why string) (out []string) {
	for _, s := range t.files {
		if s.path == "LICENSE" || s.path == "go.sum" {
			continue
		}
		for i, line := range strings.Split(s.text, "\n") {
			if m := re.FindStringSubmatch(line); m != nil {
				out = append(out, fmt.Sprintf("%s:%d: %s: %s", s.path, i+1, m[1], why))
			}
		}
	}
	return out
}

// Small parts of the rules.

// each runs a rule over every Go file that is not a test.
func each(t *tree, check func(*tree, *folder, *source) []string) (out []string) {
	for _, f := range t.folders {
		for _, s := range f.files {
			out = append(out, check(t, f, s)...)
		}
	}
	return out
}

func importPath(im *ast.ImportSpec) string {
	p, _ := strconv.Unquote(im.Path.Value)
	return p
}

// importName is the name under which a file knows a package, "" when it does not import it.
func importName(s *source, pkg string) string {
	for _, im := range s.ast.Imports {
		if importPath(im) == pkg {
			if im.Name != nil {
				return im.Name.Name
			}
			return path.Base(pkg)
		}
	}
	return ""
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && name != "" && id.Name == name
}
