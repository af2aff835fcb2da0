package house_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"testing"
)

// TestReadersAreFuzzed wants a fuzz target in each format package that reads:
// that exports a function named for it.
func TestReadersAreFuzzed(t *testing.T) {
	t.Parallel()
	reader := regexp.MustCompile(`^(Parse|Open|Read|Decode|Unmarshal)`)
	target := regexp.MustCompile(`^Fuzz`)
	seen := 0
	for _, p := range packages(t) {
		if _, f := room(p.ImportPath); f != format {
			continue
		}
		reads := functions(t, p.Dir, p.GoFiles, reader)
		if len(reads) == 0 {
			continue
		}
		seen++
		if len(functions(t, p.Dir, append(p.TestGoFiles, p.XTestGoFiles...), target)) == 0 {
			t.Errorf("%s reads (%q) and has no fuzz target", p.ImportPath, reads)
		}
	}
	if seen == 0 {
		t.Error("no format reads anything: has the plan changed?")
	}
}

// functions returns the names of the functions in files that match.
func functions(t testing.TB, dir string, files []string, match *regexp.Regexp) []string {
	t.Helper()
	var names []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if ok && f.Recv == nil && match.MatchString(f.Name.Name) {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}
