package tree_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/tree"
)

func names(tr *tree.Tree) []string {
	return slices.Collect(func(yield func(string) bool) {
		for name := range tr.All() {
			if name != "" && !yield(name) {
				return
			}
		}
	})
}

func TestTreeChanges(t *testing.T) {
	t.Parallel()
	tr, s, _, err := merge(t, tree.Options{}, lines{"dir usr/ 0711", "file usr/a x", "link usr/b -> usr/a", "link opt/c/d -> usr/a", "sym l -> usr"})
	if err != nil {
		t.Fatal(err)
	}
	a := tr.Lookup("usr/a")
	if tr.Lookup("opt/c/d") != a || a.Links != 3 {
		t.Fatalf("usr/a has %d names", a.Links)
	}
	for _, name := range []string{"usr/none", "usr/a/x", "none/x", "l/a", "usr//a", "usr/"} {
		if name != "usr/" && tr.Lookup(name) != nil {
			t.Errorf("%q is there", name)
		}
	}
	if tr.Lookup("") != tr.Root() || tr.Remove("") || tr.Remove("opt/none") || tr.Remove("usr/a/x") {
		t.Error("the root is not as it should be, or what is not there was removed")
	}
	if !tr.Remove("opt") || a.Links != 2 || tr.Lookup("opt/c") != nil {
		t.Errorf("after opt went, usr/a has %d names", a.Links)
	}
	if !tr.Remove("usr/b") || a.Links != 1 {
		t.Errorf("after usr/b went, usr/a has %d names", a.Links)
	}
	added := tree.NewInode(tree.Fifo, 0o600)
	for _, name := range []string{"usr/lib/x/fifo", "usr/other", "usr/a"} {
		if err := tr.Insert(name, added); err != nil {
			t.Error(err)
		}
	}
	if added.Links != 3 || a.Links != 0 {
		t.Errorf("the new one has %d names, the old one %d", added.Links, a.Links)
	}
	if err := tr.Insert("usr", tree.NewInode(tree.Directory, 0o700)); err != nil || tr.Lookup("usr").Links != 1 {
		t.Errorf("a folder over a folder: %v, %d names", err, tr.Lookup("usr").Links)
	}
	for _, name := range []string{"", "usr", "l/x", "usr/a/x"} {
		if err := tr.Insert(name, added); err == nil {
			t.Errorf("%q was inserted", name)
		}
	}
	want := []string{"sym l -> usr", "dir usr 700", "fifo usr/a 0:0 (3 names)", "dir usr/lib 755", "dir usr/lib/x 755", "fifo usr/lib/x/fifo 0:0 (3 names)", "fifo usr/other 0:0 (3 names)"}
	if diff := cmp.Diff(want, show(t, tr, s)); diff != "" {
		t.Error(diff)
	}
}

func TestTreeStopsWalking(t *testing.T) {
	t.Parallel()
	tr, _, _, err := merge(t, tree.Options{}, lines{"file a/b/c x", "file d x"})
	if err != nil {
		t.Fatal(err)
	}
	for stop := range 5 {
		seen := 0
		for range tr.All() {
			if seen++; seen > stop {
				break
			}
		}
		if seen != stop+1 {
			t.Errorf("walked %d names, want %d", seen, stop+1)
		}
	}
}

// Folders of every size, filled and emptied in every order, hold what a map
// would hold, in order.
func TestTreeLargeFolders(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"rising", "falling", "random"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, 2))
			tr, model := tree.New(), map[string]*tree.Inode{}
			for i := range 5000 {
				switch order {
				case "falling":
					i = 5000 - i
				case "random":
					i = random.IntN(5000)
				}
				name := fmt.Sprintf("f%05d", i)
				model[name] = tree.NewInode(tree.Regular, 0o644)
				if err := tr.Insert(name, model[name]); err != nil {
					t.Fatal(err)
				}
				if random.IntN(3) == 0 {
					gone := fmt.Sprintf("f%05d", random.IntN(5000))
					if _, there := model[gone]; tr.Remove(gone) != there {
						t.Fatalf("%q: there is %v", gone, there)
					}
					delete(model, gone)
				}
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(model)), names(tr)); diff != "" {
				t.Error(diff)
			}
			for name, ino := range model {
				if tr.Lookup(name) != ino {
					t.Errorf("%q is another", name)
				}
				tr.Remove(name)
			}
			if left := names(tr); len(left) > 0 {
				t.Errorf("%d names are left", len(left))
			}
		})
	}
}

// The whole build has 512 bytes a file; the tree, with what Merge needs beside
// it at its worst moment, must leave room for the rest.
func TestMemoryPerFile(t *testing.T) {
	const files, most = 100_000, 350
	l := endless{files, func(i int, e *tree.Entry) {
		e.Sec, e.UID = int64(i), 1
		if i%10 == 9 {
			e.Kind, e.Target, e.Size = tree.Symlink, fmt.Sprintf("some-file-%06d", i-1), 0
		}
	}}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := &last{files: files * 9 / 10}
	tr, _, err := tree.Merge(t.Context(), []tree.Layer{l}, tree.Options{Keep: s.keep}, s)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	peak := (int64(s.heap) - int64(before.HeapAlloc)) / files
	left := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / files
	t.Logf("%d bytes a file while merging, %d bytes afterwards", peak, left)
	if peak > most || left > most {
		t.Errorf("%d and %d bytes a file, more than %d", peak, left, most)
	}
	runtime.KeepAlive(tr)
}

// last measures the heap when all is read and applied: it refuses the last
// file at first, so that Merge comes back for it at the end.
type last struct {
	discard
	files, asked int
	heap         uint64
}

func (l *last) keep(string) bool {
	l.asked++
	if l.asked == l.files+1 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		l.heap = m.HeapAlloc
	}
	return l.asked != l.files
}

// Two readings of the same layers give the same tree and the same order of
// stores.
func TestMergeIsDeterministic(t *testing.T) {
	t.Parallel()
	var once []string
	for range 5 {
		tr, s, _, err := merge(t, tree.Options{Keep: underUsr}, lines{"file usr/b 1", "file opt/a 2", "file opt/c 3", "link usr/z -> opt/a", "link usr/y -> opt/c"}, lines{"file usr/a 4", "file usr/b 5"})
		if err != nil {
			t.Fatal(err)
		}
		again := append(show(t, tr, s), s.names...)
		if once != nil && !slices.Equal(once, again) {
			t.Errorf("once:\n%s\nagain:\n%s", strings.Join(once, "\n"), strings.Join(again, "\n"))
		}
		once = again
	}
}
