package mount

import (
	"slices"
	"strings"
)

// maxChain bounds how many mounts a path crosses, or lie on each other: hostile
// lists may run in circles.
const maxChain = 100_000

// Covering returns the mount that a path is on, the topmost where several lie on
// each other; false where none is listed, as in a chroot that is no mount itself.
// path is absolute and clean, without links.
func Covering(mounts []Info, path string) (Info, bool) {
	var current Info
	children := byParent(mounts)
	next := roots(mounts)
	found := false
	for range maxChain {
		// Of two mounts on the same one, that which is nearer to the root is
		// met first, and the other is hidden by it.
		at := nearest(next, path)
		if at < 0 {
			break
		}
		current, found = next[at], true
		next = children[current.ID]
	}
	return current, found
}

// Submounts returns the mounts that can be seen strictly below path, the
// outermost only: each brings along what is mounted on it. They are sorted by
// where they are. Those that something covers, and the lower ones of a stack, are
// left out.
func Submounts(mounts []Info, path string) []Info {
	var candidates []Info
	if top, found := Covering(mounts, path); found {
		candidates = byParent(mounts)[top.ID]
	} else {
		candidates = roots(mounts)
	}
	points := map[string]bool{}
	for _, info := range candidates {
		if info.MountPoint != path && isBelow(info.MountPoint, path) {
			points[info.MountPoint] = true
		}
	}
	var below []Info
	for point := range points {
		top, found := Covering(mounts, point)
		outermost := !slices.ContainsFunc(candidates, func(other Info) bool {
			return points[other.MountPoint] && other.MountPoint != point && isBelow(point, other.MountPoint)
		})
		if found && outermost && top.MountPoint == point {
			below = append(below, top)
		}
	}
	slices.SortFunc(below, func(a, b Info) int { return strings.Compare(a.MountPoint, b.MountPoint) })
	return below
}

// byParent sorts mounts by what they are mounted on.
func byParent(mounts []Info) map[int][]Info {
	children := make(map[int][]Info, len(mounts))
	for _, info := range mounts {
		if info.Parent != info.ID {
			children[info.Parent] = append(children[info.Parent], info)
		}
	}
	return children
}

// roots returns the mounts whose parent is not listed.
func roots(mounts []Info) []Info {
	listed := make(map[int]bool, len(mounts))
	for _, info := range mounts {
		listed[info.ID] = true
	}
	var roots []Info
	for _, info := range mounts {
		if info.Parent == info.ID || !listed[info.Parent] {
			roots = append(roots, info)
		}
	}
	return roots
}

// nearest returns the index of the mount on the way to path that is met first, -1
// for none.
func nearest(mounts []Info, path string) int {
	at := -1
	for i, info := range mounts {
		if isBelow(path, info.MountPoint) && (at < 0 || len(info.MountPoint) < len(mounts[at].MountPoint)) {
			at = i
		}
	}
	return at
}

// isBelow reports whether path is folder or lies below it.
func isBelow(path, folder string) bool {
	if folder == "/" {
		return strings.HasPrefix(path, "/")
	}
	rest, found := strings.CutPrefix(path, folder)
	return found && (rest == "" || rest[0] == '/')
}
