package layer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/mount"
)

// zeroMergedSince is the systemd that began to lay something over a hierarchy for
// which no extension brings anything, if it is to be mutable.
const zeroMergedSince = 258

// submountsKeptSince is the systemd that began to keep what is mounted below a
// hierarchy.
const submountsKeptSince = 257

// arrange makes the stacks of what is merged, and drops what is not safe.
func (p *Plan) arrange(ctx context.Context) error {
	p.union = union{nodes: map[string]node{}, conflicts: map[string]*Conflict{}, vanishing: map[string]bool{}, folders: map[string]Folder{}}
	p.Stacks, p.Folders = nil, nil
	for _, h := range p.Request.Hierarchies {
		if _, err := p.hostView(h); err != nil {
			return err
		}
	}
	p.sort()
	brings := map[*Item]map[string]string{}
	for _, i := range p.Items {
		if i.State != Merge || i.Unsettled {
			continue
		}
		folders, err := p.survey(ctx, i)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, errHost) {
			return err
		}
		if i.settle(err); i.State != Merge {
			p.release(i)
			continue
		}
		brings[i] = folders
	}
	for _, h := range p.Request.Hierarchies {
		p.Stacks = append(p.Stacks, p.stack(h, brings))
	}
	p.twice()
	p.page()
	for _, at := range p.merged(maps.Keys(p.union.folders)) {
		p.Folders = append(p.Folders, p.union.folders[at])
	}
	if err := p.readOnly(); err != nil {
		return err
	}
	p.sort()
	return nil
}

// stack is what is laid over one hierarchy.
func (p *Plan) stack(hierarchy string, brings map[*Item]map[string]string) Stack {
	v := p.views[hierarchy]
	s := Stack{Path: hierarchy, Place: v.place, Missing: v.root == nil, Bare: v.bare}
	for _, i := range slices.Backward(p.Items) {
		if folder, ok := brings[i][hierarchy]; ok {
			s.Layers = append(s.Layers, Layer{i, folder})
		}
	}
	switch {
	case v.reason != "":
		s.Idle, s.Missing, s.Reason = true, false, v.reason
		if len(s.Layers) > 0 {
			p.warnOnce(hint.Wrap(fmt.Errorf("nothing is merged into %q: %s", hierarchy, v.reason), "make it a folder"))
		}
		s.Layers = nil
	case len(s.Layers) > 0:
	case p.Request.Mutable == Immutable:
		s.Idle, s.Reason = true, "no extension brings anything for it"
	case p.Request.Systemd < zeroMergedSince:
		s.Idle, s.Reason = true, fmt.Sprintf("no extension brings anything for it, and it is made mutable all the same from systemd %d on", zeroMergedSince)
	}
	return s
}

// twice lets of two hierarchies that lead to one folder only the first be merged.
func (p *Plan) twice() {
	first := map[string]string{}
	for n := range p.Stacks {
		s := &p.Stacks[n]
		other, taken := first[s.Place]
		if !taken {
			first[s.Place] = s.Path
			continue
		}
		if !s.Idle && len(s.Layers) > 0 {
			p.warnOnce(hint.Wrap(fmt.Errorf("what extensions have in %q is not merged: it leads to where %q is", s.Path, other),
				fmt.Sprintf("build them with these files in %q", other)))
		}
		s.Idle, s.Layers, s.Reason = true, nil, fmt.Sprintf("it leads to where %q is", other)
	}
}

// optionPage is how many bytes of options one call of mount(2) takes.
const optionPage = 4096

// page warns where systemd's options don't fit into one call, which is how it makes
// an overlay up to 262 at least.
func (p *Plan) page() {
	if p.Request.Engine != EngineSystemd {
		return
	}
	for _, s := range p.Stacks {
		length := 0
		for _, l := range s.Layers {
			length += len(path.Join("/run/systemd/sysext", path.Base(p.Request.Kind.RunFolder), l.Name, l.Folder)) + 1
		}
		if length >= optionPage {
			p.warnOnce(hint.Wrap(fmt.Errorf("the names of %d extensions take %d bytes in systemd's mount options for %q, of %d at most", len(s.Layers), length, s.Path, optionPage),
				"give them shorter names, or choose the native engine"))
		}
	}
}

// readOnly finds what can be written to now, and could not be after the merge.
func (p *Plan) readOnly() error {
	r := &p.Request
	if !isRunning(r.Root) {
		return nil // what will be mounted there is not known
	}
	mounts, err := mount.Mounts()
	if err != nil {
		return err
	}
	for n := range p.Stacks {
		s := &p.Stacks[n]
		if s.Idle || s.Missing || p.writable(s) {
			continue
		}
		at := path.Join("/", s.Place)
		if on, known := mount.Covering(mounts, at); known && !mergeOf(on, r.Kind) && !s.Bare && rw(on) {
			s.MakesReadOnly = append(s.MakesReadOnly, s.Path)
		}
		if r.Engine == EngineSystemd && r.Systemd < submountsKeptSince {
			for _, sub := range mount.Submounts(mounts, at) {
				if rw(sub) {
					s.MakesReadOnly = append(s.MakesReadOnly, sub.MountPoint)
				}
			}
		}
		if len(s.MakesReadOnly) > 0 {
			p.warnOnce(hint.Wrap(fmt.Errorf("after the merge, nobody can write to %s any more", strings.Join(s.MakesReadOnly, ", ")),
				"choose the mode ephemeral or yes, other hierarchies, or keep what is written elsewhere"))
		}
	}
	return nil
}

// writable says whether a merged hierarchy can be written to.
func (p *Plan) writable(s *Stack) bool {
	switch p.Request.Mutable {
	case Mutable, Ephemeral, EphemeralImport:
		return true
	case Auto:
		at, err := stored(p.Request.Root, s.Path)
		return err == nil && at != ""
	default:
		return false
	}
}

func rw(m mount.Info) bool {
	return !slices.Contains(strings.Split(m.Options, ","), "ro") && !slices.Contains(strings.Split(m.Super, ","), "ro")
}

// mergeOf says whether a mount is a merge of a kind.
func mergeOf(m mount.Info, k extension.Kind) bool { return m.Type == "overlay" && m.Source == k.Name }

// warnOnce adds a warning unless it is there already.
func (p *Plan) warnOnce(err error) {
	if !slices.ContainsFunc(p.Warnings, func(w Warning) bool { return w.Text == err.Error() }) {
		p.warn(err)
	}
}
