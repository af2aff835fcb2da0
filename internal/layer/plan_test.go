package layer_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/trust"
)

// tree is a system's files by path: text for a regular file, "-> TARGET" for a
// link; a path that ends with a slash is a folder.
type tree map[string]string

// lay makes the files of t below folder.
func (t tree) lay(test *testing.T, folder string) {
	test.Helper()
	for name, text := range t {
		at := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			test.Fatal(err)
		}
		target, link := strings.CutPrefix(text, "-> ")
		var err error
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(at, 0o755)
		case link:
			err = os.Symlink(target, at)
		default:
			err = os.WriteFile(at, []byte(text), 0o644)
		}
		if err != nil {
			test.Fatal(err)
		}
	}
}

// plus returns t with more.
func (t tree) plus(more ...tree) tree {
	all := tree{}
	for _, part := range append([]tree{t}, more...) {
		maps.Copy(all, part)
	}
	return all
}

// ext is a sysext in a folder: its release file and other files, below usr.
func ext(place, release string, files ...string) tree {
	t := tree{}
	if release != "" {
		name := filepath.Base(place)
		t[place+"/usr/lib/extension-release.d/extension-release."+name] = release
	}
	for _, f := range files {
		name, text, found := strings.Cut(f, "=")
		if !found {
			text = name
		}
		t[place+"/"+name] = text
	}
	return t
}

// someHost is a system without extensions.
func someHost() tree {
	return tree{
		"etc/os-release": "ID=debian\nID_LIKE=unix\nVERSION_ID=13\nIMAGE_ID=board\nBUILD_ID=2026.3\nSYSEXT_LEVEL=2\n",
		"usr/bin/true":   "true\n",
		"usr/lib64":      "-> lib",
		"opt/":           "",
	}
}

// system lays files and opens their root.
func system(t *testing.T, files tree) *os.Root {
	t.Helper()
	folder := t.TempDir()
	files.lay(t, folder)
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// policy reads a policy.
func policy(t *testing.T, text string) trust.Policy {
	t.Helper()
	p, err := trust.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// plan makes a plan that ends with the test.
func plan(t *testing.T, r layer.Request) (*layer.Plan, error) {
	t.Helper()
	p, err := layer.MakePlan(t.Context(), r)
	if p != nil {
		t.Cleanup(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return p, err
}

// told is a plan in lines: what becomes of each item, then each stack.
func told(p *layer.Plan) []string {
	var lines []string
	for _, i := range p.Items {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", i.State, i.Place, i.Reason)))
	}
	for _, s := range p.Stacks {
		if s.Idle {
			continue
		}
		var line strings.Builder
		line.WriteString(s.Path)
		for _, l := range s.Layers {
			line.WriteString(" " + l.Name)
			if l.Folder != s.Path[1:] {
				line.WriteString(":" + l.Folder)
			}
		}
		if s.Missing {
			line.WriteString(" (missing)")
		} else if s.Bare {
			line.WriteString(" (bare)")
		}
		lines = append(lines, line.String())
	}
	for _, w := range p.Warnings {
		lines = append(lines, "warning: "+w.Text)
	}
	return lines
}

// planned is a case of the tables.
type planned struct {
	name  string
	files tree // beside host
	ask   func(*layer.Request)
	// want are the lines of told; one that ends with an ellipsis is the beginning of
	// one. With err, part of the error is wanted instead.
	want []string
	err  string
}

func runPlanned(t *testing.T, cases []planned) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := layer.Request{Root: system(t, someHost().plus(c.files)), Kind: extension.Sysext(), Architecture: "x86-64", User: os.Getuid(), Policy: policy(t, "any")}
			if c.ask != nil {
				c.ask(&r)
			}
			p, err := plan(t, r)
			switch {
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Fatalf("error %v, want %q", err, c.err)
			case c.err != "":
				return
			case err != nil:
				t.Fatal(err)
			}
			got := told(p)
			for n, line := range c.want {
				if start, short := strings.CutSuffix(line, "…"); short && n < len(got) && strings.HasPrefix(got[n], start) {
					got[n] = line
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			for _, i := range p.Items {
				if (i.State == layer.Merge) != (i.Opened != nil) {
					t.Errorf("%s is %s, and open: %t", i.Name, i.State, i.Opened != nil)
				}
				if i.State != layer.Merge && i.Reason == "" {
					t.Errorf("%s is %s, and nothing says why", i.Name, i.State)
				}
			}
		})
	}
}

// ask makes a request's change.
func hierarchies(list ...string) func(*layer.Request) {
	return func(r *layer.Request) { r.Hierarchies = list }
}

func getenv(pairs ...string) func(string) string {
	return func(name string) string {
		if n := slices.Index(pairs, name); n >= 0 && n%2 == 0 {
			return pairs[n+1]
		}
		return ""
	}
}

// TestPlanClosed shows that a plan holds nothing open that isn't merged, and lets
// go of everything when it is closed.
func TestPlanClosed(t *testing.T) {
	t.Parallel()
	root := system(t, someHost().plus(ext("var/lib/extensions/one", "ID=_any", "usr/bin/one")))
	p, err := layer.MakePlan(t.Context(), layer.Request{Root: root, Kind: extension.Sysext(), User: os.Getuid(), Policy: policy(t, "any")})
	if err != nil {
		t.Fatal(err)
	}
	folder := p.Items[0].Opened.Folder
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Stat("."); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("closed, and still open: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
