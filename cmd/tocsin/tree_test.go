package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// module is the name in go.mod.
const module = "tocsin"

// source is one tracked file. ast is nil for files that are not Go.
type source struct {
	path string // from the root, with slashes
	text string
	ast  *ast.File
}

func (s *source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s *source) lines() int { return strings.Count(strings.TrimSuffix(s.text, "\n"), "\n") + 1 }

// folder is one Go package of the tree.
type folder struct {
	dir   string // from the root
	name  string
	files []*source // without tests
	tests []*source
	info  *types.Info
	types *types.Package
}

// forTests tells whether the package exists to be used by tests: bustest, notifiertest.
func (f *folder) forTests() bool { return strings.HasSuffix(f.name, "test") && f.name != "test" }

// tree is the repository, or a made-up one, ready to be judged.
type tree struct {
	fset    *token.FileSet
	files   []*source
	folders []*folder // sorted by dir
}

// at writes a finding with its place.
func (t *tree) at(p token.Pos, format string, args ...any) string {
	pos := t.fset.Position(p)
	return fmt.Sprintf("%s:%d: %s", pos.Filename, pos.Line, fmt.Sprintf(format, args...))
}

// grow makes a tree of files named by path.
func grow(files map[string]string) (*tree, error) {
	t := &tree{fset: token.NewFileSet()}
	byDir := map[string]*folder{}
	paths := make([]string, 0, len(files))
	for p := range files {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	for _, p := range paths {
		s := &source{path: p, text: files[p]}
		t.files = append(t.files, s)
		if !strings.HasSuffix(p, ".go") || strings.Contains("/"+p, "/testdata/") {
			continue
		}
		var err error
		if s.ast, err = parser.ParseFile(t.fset, p, s.text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			return nil, err
		}
		dir := path.Dir(p)
		f := byDir[dir]
		if f == nil {
			f = &folder{dir: dir}
			byDir[dir] = f
			t.folders = append(t.folders, f)
		}
		if s.isTest() {
			f.tests = append(f.tests, s)
			continue
		}
		f.name = s.ast.Name.Name
		f.files = append(f.files, s)
	}
	sort.Slice(t.folders, func(i, j int) bool { return t.folders[i].dir < t.folders[j].dir })
	t.typecheck()
	return t, nil
}

// typecheck resolves names, constants and slog's methods. Imports from outside are left unresolved on purpose: the rules need none of them, and
// reading them would take a minute. Errors are therefore expected and ignored; that the tree compiles is for the compiler to say.
func (t *tree) typecheck() {
	im := &lazyImporter{tree: t, byPath: map[string]*folder{}}
	for _, f := range t.folders {
		im.byPath[module+"/"+f.dir] = f
	}
	for _, f := range t.folders {
		im.check(f)
	}
}

type lazyImporter struct {
	tree   *tree
	byPath map[string]*folder
	std    types.Importer
}

var errNotRead = errors.New("not read")

func (im *lazyImporter) Import(p string) (*types.Package, error) {
	switch {
	case im.byPath[p] != nil:
		im.check(im.byPath[p])
		return im.byPath[p].types, nil
	case p == "log/slog":
		if im.std == nil {
			findGoroot()
			im.std = importer.ForCompiler(token.NewFileSet(), "source", nil)
		}
		return im.std.Import(p)
	}
	return nil, errNotRead
}

// findGoroot asks the go command where its sources are: a test built with -trimpath does not know.
func findGoroot() {
	if build.Default.GOROOT != "" {
		return
	}
	if out, err := exec.Command("go", "env", "GOROOT").Output(); err == nil {
		build.Default.GOROOT = strings.TrimSpace(string(out))
	}
}

func (im *lazyImporter) check(f *folder) {
	if f.info != nil {
		return
	}
	f.info = &types.Info{
		Defs:       map[*ast.Ident]types.Object{},
		Uses:       map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
		Types:      map[ast.Expr]types.TypeAndValue{},
	}
	conf := types.Config{Importer: im, Error: func(error) {}}
	var files []*ast.File
	for _, s := range f.files {
		files = append(files, s.ast)
	}
	f.types, _ = conf.Check(module+"/"+f.dir, im.tree.fset, files, f.info)
}

// root finds the folder of go.mod.
func root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, statErr := os.Stat(filepath.Join(dir, "go.mod")); statErr == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	tb.Fatal("no go.mod above the test")
	return ""
}

// readTree reads the tracked text files of the repository.
func readTree(tb testing.TB) *tree {
	tb.Helper()
	dir := root(tb)
	ignored := readIgnored(filepath.Join(dir, ".gitignore"))
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		rel = filepath.ToSlash(rel)
		switch {
		case rel == ".git" || ignored.has(rel, d.IsDir()):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(p)
		if err == nil && bytes.IndexByte(b[:min(len(b), 8000)], 0) < 0 {
			files[rel] = string(b)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	t, err := grow(files)
	if err != nil {
		tb.Fatal(err)
	}
	if len(t.folders) == 0 {
		tb.Fatal("the tree holds no Go package: the walk is broken")
	}
	return t
}

// ignores are the patterns of .gitignore, of the three shapes this repository uses: /name, name/ and *.suffix.
type ignores []string

func readIgnored(file string) ignores {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}

func (ig ignores) has(rel string, dir bool) bool {
	for _, p := range ig {
		name := strings.Trim(p, "/")
		if strings.HasSuffix(p, "/") && !dir {
			continue
		}
		target := path.Base(rel)
		if strings.HasPrefix(p, "/") {
			target = rel
		}
		if ok, _ := path.Match(name, target); ok {
			return true
		}
	}
	return false
}
