package watchlist

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"tocsin/news/strict"
)

// Limits of the language. A file over a limit is refused, never cut.
const (
	MaxFile       = 1 << 20   // bytes of one file
	MaxQuery      = 4 << 10   // bytes of one query
	MaxDepth      = 32        // parentheses, NOT and field:( ) inside one another in a query
	MaxDistance   = 100       // n of NEAR/n, ONEAR/n and ATLEAST/n
	MaxWithin     = 200       // words of a condition's within
	MaxAlias      = 256       // bytes of an alias or term
	MaxAliasWords = 16        // words of an alias or term
	MaxAliases    = 100_000   // aliases of one list
	MaxAllAliases = 1_000_000 // aliases of all lists together
)

// Load reads every *.yaml file in the root of fsys, without subfolders and without names that begin with "_" or ".", and returns all faults of
// all files, sorted. The Set is valid only if Faults.Err is nil; otherwise it holds what could be read and must not go live. A folder without
// any list is an error, because a program that watches nothing would be silent for no reason that anybody sees.
func Load(fsys fs.FS) (*Set, strict.Faults) { return load(fsys, "") }

// LoadDir is Load for a folder on disk. Faults name files with the folder in front, so that editors find them.
func LoadDir(dir string) (*Set, strict.Faults) { return load(os.DirFS(dir), dir) }

// LoadAs is Load for a copy of a folder: faults name files as if they were read from dir.
func LoadAs(fsys fs.FS, dir string) (*Set, strict.Faults) { return load(fsys, dir) }

// LoadFile reads one file as a set of its own: an @entity of another file is unknown to it. The list's id is compared with the file name
// when name ends in .yaml. The List is valid only if Faults.Err is nil.
func LoadFile(name string, data []byte) (*List, strict.Faults) {
	set, fs := assemble([]source{{name, data}})
	return set.Lists[0], fs
}

// source is one file in memory.
type source struct {
	name string // as faults call it
	data []byte
}

func load(fsys fs.FS, dir string) (*Set, strict.Faults) {
	var faults strict.Faults
	folder := cmp.Or(dir, ".")
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		faults.Add(strict.Pos{File: folder}, "check the folder and its rights", "the folder of watchlists cannot be read (%s)", reason(err))
		return &Set{}, faults
	}
	var files []source
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") || e.IsDir() {
			continue
		}
		place := strict.Pos{File: filepath.Join(dir, name)}
		if strings.HasSuffix(name, ".yml") {
			faults.AddWarning(place, "rename it to end in .yaml", "this file is not read")
		}
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		data, err := readFile(fsys, name)
		if err != nil {
			faults.Add(place, "check the file and its rights", "the file cannot be read (%s)", reason(err))
			continue
		}
		files = append(files, source{place.File, data})
	}
	if len(files) == 0 {
		faults.Add(strict.Pos{File: folder}, "put a watchlist there, as armed-groups.yaml", "no watchlist in this folder")
	}
	set, more := assemble(files)
	return set, append(faults, more...).Sort()
}

// reason is err without the path, which the place tells already.
func reason(err error) string {
	if pe, ok := err.(*fs.PathError); ok { //nolint:errorlint // the outermost error is the one that repeats the path
		err = pe.Err
	}
	return err.Error()
}

// readFile reads one byte more than the limit, so that a huge file is refused without being read whole.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is no regular file")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxFile+1))
}

// assemble reads the files and then checks what holds only over all of them. The Set has one list a file.
func assemble(files []source) (*Set, strict.Faults) {
	var faults strict.Faults
	set := &Set{}
	all := sha256.New()
	for _, f := range files {
		fmt.Fprintf(all, "%s\x00%d\x00", path.Base(filepath.ToSlash(f.name)), len(f.data))
		all.Write(f.data)
		list, fs := readList(f)
		set.Lists = append(set.Lists, list)
		faults = append(faults, fs...)
	}
	set.Revision = hex.EncodeToString(all.Sum(nil))[:12]
	slices.SortStableFunc(set.Lists, func(a, b *List) int { return cmp.Compare(a.ID.Value, b.ID.Value) })
	faults = append(faults, checkSet(set)...)
	return set, faults.Sort()
}

func readList(f source) (*List, strict.Faults) {
	var raw rawList
	faults := strict.Decode(f.name, f.data, MaxFile, &raw)
	sum := sha256.Sum256(f.data)
	revision := hex.EncodeToString(sum[:])[:12]
	if faults.Err() != nil && raw.Line == 0 {
		for i := range faults {
			explainYAML(&faults[i], f.data)
		}
		return &List{Pos: strict.Pos{File: f.name}, Revision: revision}, faults
	}
	if raw.Line == 0 {
		raw.Pos = strict.Pos{File: f.name, Line: 1, Col: 1}
	}
	b := builder{placer: newPlacer(f.data), list: &List{Pos: raw.Pos, Revision: revision}, faults: faults, queries: map[strict.Pos]Expr{}}
	b.build(&raw)
	return b.list, b.faults
}
