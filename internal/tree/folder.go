package tree

import (
	"cmp"
	"slices"
)

// maxRun is how many names one run of a folder holds. It bounds what inserting
// in the middle of a huge folder moves; most folders are one short run.
const maxRun = 256

// dirent is one name in a folder.
type dirent struct {
	name string
	ino  *Inode
}

// folder holds names in bytewise order, cut into sorted runs: a B+ tree of two
// levels. A map would need twice the memory, and a sort at the end.
type folder struct {
	runs   [][]dirent // none is empty
	filled uint16     // the last layer, from 1, that put something below
}

// find returns the run in which name is or belongs, its place there, and
// whether it is there.
func (f *folder) find(name string) (run, at int, found bool) {
	run, found = slices.BinarySearchFunc(f.runs, name, func(r []dirent, name string) int {
		return cmp.Compare(r[0].name, name)
	})
	if found {
		return run, 0, true
	}
	if run == 0 {
		return 0, 0, false
	}
	run--
	at, found = slices.BinarySearchFunc(f.runs[run], name, func(d dirent, name string) int {
		return cmp.Compare(d.name, name)
	})
	return run, at, found
}

func (f *folder) get(name string) *Inode {
	run, at, found := f.find(name)
	if !found {
		return nil
	}
	return f.runs[run][at].ino
}

// put sets or replaces name.
func (f *folder) put(name string, ino *Inode) {
	run, at, found := f.find(name)
	switch {
	case found:
		f.runs[run][at].ino = ino
		return
	case len(f.runs) == 0:
		f.runs = [][]dirent{{{name, ino}}}
		return
	}
	if len(f.runs[run]) == maxRun {
		run, at = f.split(run, at)
	}
	f.runs[run] = slices.Insert(f.runs[run], at, dirent{name, ino})
}

// split makes room in a full run and returns where at is now. Names that come
// in order, as most archives have them, leave full runs behind.
func (f *folder) split(run, at int) (newRun, newAt int) {
	if at == maxRun {
		f.runs = slices.Insert(f.runs, run+1, make([]dirent, 0, maxRun/8))
		return run + 1, 0
	}
	const cut = maxRun / 2
	rest := slices.Clone(f.runs[run][cut:])
	clear(f.runs[run][cut:])
	f.runs[run] = f.runs[run][:cut]
	f.runs = slices.Insert(f.runs, run+1, rest)
	if at <= cut {
		return run, at
	}
	return run + 1, at - cut
}

func (f *folder) remove(name string) {
	run, at, found := f.find(name)
	if !found {
		return
	}
	f.runs[run] = slices.Delete(f.runs[run], at, at+1)
	if len(f.runs[run]) == 0 {
		f.runs = slices.Delete(f.runs, run, run+1)
	}
}
