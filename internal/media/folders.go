package media

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"inlay/internal/tree"
)

// Folder is a folder, or a large file, with what is in it.
type Folder struct {
	Path  string `json:"path"`
	Size  int64  `json:"size"` // of its files, in bytes
	Files int    `json:"files"`
	// Rest says that parts of it are folders of the list on their own, and not
	// counted here.
	Rest bool `json:"rest,omitempty"`
	// Stays says why no extension can carry it; "" if one can.
	Stays string `json:"stays,omitempty"`

	members []*member
}

// The limits of firmware that have been seen, in bytes: some loads a file of
// 800 MiB and no more, some one of 1.3 GiB.
const (
	limitLow  = 800 << 20
	limitHigh = 1331 << 20
)

// DefaultWarnSize is above which size an EFI program is worth a warning.
const DefaultWarnSize = 1024 << 20

// SizeWarning says that firmware may not load an EFI program, and which folders
// could go into an extension instead.
func SizeWarning(name string, size, warn int64, movable []Folder) string {
	text := fmt.Sprintf("%s has %s, more than %s: firmware is known to fail at sizes from about %d MiB to 1.3 GiB",
		name, inMiB(size), inMiB(warn), limitLow>>20)
	if size > limitHigh {
		text = fmt.Sprintf("%s has %s: no firmware is known to load more than about 1.3 GiB, and some fails at %d MiB", name, inMiB(size), limitLow>>20)
	}
	if len(movable) == 0 {
		return text
	}
	var list []string
	for _, f := range movable {
		list = append(list, fmt.Sprintf("%s (%s)", f.Path, inMiB(f.Size)))
	}
	return text + "; an extension could carry " + strings.Join(list, ", ") + ": see inlay media plan"
}

func inMiB(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<19)>>20) }

// shareShown is the part of all content, one in so many, from which a folder is
// listed on its own; minShown keeps small systems from being taken to pieces.
const (
	shareShown = 40
	minShown   = 1 << 20
)

// pieces takes a packed root to pieces that do not overlap, the biggest first:
// folders and files that are large, each without the larger ones inside.
func (s *System) pieces(all []*member) []Folder {
	sizes := map[string]int64{} // of folders, with all below
	var total int64
	for _, m := range all {
		total += m.size()
		for dir := path.Dir(m.name); dir != "."; dir = path.Dir(dir) {
			sizes[dir] += m.size()
		}
	}
	p := pieces{system: s, enough: max(total/shareShown, minShown), sizes: sizes, rows: map[string]*Folder{}}
	for _, m := range all {
		p.place(m)
	}
	p.gather()
	list := p.list()
	slices.SortFunc(list, func(a, b Folder) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Path, b.Path))
	})
	return list
}

// pieces are the rows of such a list, by their path without the leading slash,
// the root being ".".
type pieces struct {
	system *System
	enough int64 // bytes that make a row
	sizes  map[string]int64
	rows   map[string]*Folder
}

func (p *pieces) row(at string) *Folder {
	if p.rows[at] == nil {
		p.rows[at] = &Folder{Path: "/" + strings.TrimPrefix(at, "."), Stays: p.system.stays(at)}
	}
	return p.rows[at]
}

// place counts a file where it belongs.
func (p *pieces) place(m *member) {
	at := m.name
	if m.node.Kind() != tree.Regular || m.size() < p.enough {
		for at = path.Dir(at); at != "." && p.sizes[at] < p.enough; {
			at = path.Dir(at)
		}
	}
	row := p.row(at)
	row.members = append(row.members, m)
	row.Size += m.size()
	if m.node.Kind() == tree.Regular && m.last {
		row.Files++
	}
}

// gather adds what is left of a folder to the one above, if it is little.
func (p *pieces) gather() {
	names := map[string]bool{}
	for at := range p.rows {
		for ; at != "." && !names[at]; at = path.Dir(at) {
			names[at] = true
		}
	}
	// Backward, so that folders come after what lies in them.
	for _, at := range slices.Backward(slices.Sorted(maps.Keys(names))) {
		row := p.rows[at]
		if row == nil || row.Size >= p.enough {
			continue
		}
		delete(p.rows, at)
		above := p.row(path.Dir(at))
		above.members = append(above.members, row.members...)
		above.Size += row.Size
		above.Files += row.Files
	}
}

func (p *pieces) list() []Folder {
	for at := range p.rows {
		for dir := at; dir != "."; {
			dir = path.Dir(dir)
			if above := p.rows[dir]; above != nil {
				above.Rest = true
			}
		}
	}
	var list []Folder
	for _, row := range p.rows {
		list = append(list, *row)
	}
	return list
}

// movable says whether an extension could carry the folder, and should.
func (f Folder) movable() bool { return f.Stays == "" && !f.Rest && f.Size >= minShown }

// maxMovable is how many folders a warning names.
const maxMovable = 5

// Movable returns the biggest folders, and files, of a packed root that an
// extension could carry.
func (s *System) Movable() []Folder {
	var list []Folder
	for _, f := range s.pieces(s.members(packed)) {
		if f.movable() && len(list) < maxMovable {
			f.members = nil
			list = append(list, f)
		}
	}
	return list
}

// needed are what a system needs before extensions are merged, and why: below
// these folders, or programs of these names.
func needed() []struct{ path, why string } {
	return []struct{ path, why string }{
		{"usr/lib/systemd", "systemd runs before extensions are merged"},
		{"lib/systemd", "systemd runs before extensions are merged"},
		{"usr/lib/udev", "udev finds the disks before extensions are merged"},
		{"usr/lib/modules", "the kernel needs modules to find its disks before extensions are merged"},
		{"usr/lib/modprobe.d", "modules are loaded before extensions are merged"},
		{"usr/lib/tmpfiles.d", "files are made from it before extensions are merged"},
		{"usr/lib/sysusers.d", "users are made from it before extensions are merged"},
		{"usr/lib/os-release", "an extension with it would pass for a whole system"},
		{"usr/lib/verity.d", "extensions are verified with the certificates in it"},
		{"usr/lib/dracut", "the initrd is made with it"},
		{"usr/lib64", "programs that run before extensions are merged need their libraries"},
		{"usr/lib/x86_64-linux-gnu", "programs that run before extensions are merged need their libraries"},
		{"usr/lib/aarch64-linux-gnu", "programs that run before extensions are merged need their libraries"},
		{"usr/lib/riscv64-linux-gnu", "programs that run before extensions are merged need their libraries"},
		{"usr/bin/immucore", "it is what starts first"},
		{"usr/bin/kairos-agent", "it sets the node up before extensions are merged"},
		{"usr/bin/inlay", "it links the extensions"},
		{"usr/bin/systemd-sysext", "it merges the extensions"},
		{"usr/bin/sh", "scripts run before extensions are merged"},
		{"usr/bin/bash", "scripts run before extensions are merged"},
		{"usr/bin/mount", "disks are mounted before extensions are merged"},
		{"usr/bin/udevadm", "udev finds the disks before extensions are merged"},
		{"usr/bin/kmod", "modules are loaded before extensions are merged"},
		{"usr/sbin/init", "it is what starts first"},
		{"usr/sbin/cryptsetup", "disks are opened before extensions are merged"},
	}
}

// stays says why no extension can carry a folder or file; "" if one can.
func (s *System) stays(at string) string {
	switch {
	case at == "etc" || strings.HasPrefix(at, "etc/"):
		return "a sysext extends /usr and /opt only; a confext can carry parts of /etc"
	case at != "usr" && at != "opt" && !strings.HasPrefix(at, "usr/") && !strings.HasPrefix(at, "opt/"):
		return "extensions extend /usr and /opt only"
	}
	for _, n := range needed() {
		if at == n.path || strings.HasPrefix(at, n.path+"/") {
			return n.why
		}
		if strings.HasPrefix(n.path, at+"/") && s.tree.Lookup(n.path) != nil {
			return fmt.Sprintf("not as a whole: it holds /%s, and %s", n.path, n.why)
		}
	}
	return ""
}
