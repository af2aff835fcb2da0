package layer

import (
	"errors"
	"path"
	"slices"
)

// announce writes down what the merge is about to make, so that whoever comes after
// a kill can clear it away.
func (j *job) announce(before *Report) error {
	j.made = j.missing()
	r := j.report(true)
	for _, s := range j.plan.Stacks {
		if !s.Idle {
			r.Work = append(r.Work, j.workDirs(s.Path)...)
		}
	}
	// What is merged now stays in it, too, until it is no longer.
	for _, m := range j.old {
		if !slices.ContainsFunc(r.Hierarchies, func(h Reported) bool { return h.Place == m.place }) {
			r.Hierarchies = append(r.Hierarchies, Reported{Path: m.Path, Place: m.place, Layers: []string{}})
		}
	}
	if before != nil {
		r.Made = append(slices.Clone(before.Made), r.Made...)
		j.made = r.Made
	}
	j.announced = r
	return r.write(j.root)
}

// workDirs are the names that the work folder of a hierarchy may have.
func (j *job) workDirs(hierarchy string) []string {
	if mode := j.plan.Request.Mutable; mode != Auto && mode != Mutable {
		return nil
	}
	at, err := stored(j.plan.Request.Root, hierarchy)
	if err != nil || at == "" {
		at = mutableDir(hierarchy)
	}
	folder, name := path.Dir(at), component(hierarchy)
	return []string{path.Join(folder, ".systemd-"+name+"-workdir"), path.Join(folder, ".systemd-"+name+".next-workdir")}
}

// undoFolders removes what a merge made that has failed, and puts the old report
// back.
func (j *job) undoFolders(before *Report) error {
	if j.announced == nil {
		return nil
	}
	// Their trees hold on to the work folders.
	var errs []error
	for _, b := range j.trees {
		errs = append(errs, b.tree.Close())
	}
	mine := *j.announced
	if before != nil {
		mine.Made = slices.DeleteFunc(slices.Clone(mine.Made), func(at string) bool { return slices.Contains(before.Made, at) })
		errs = append(errs, before.write(j.root))
	} else {
		errs = append(errs, removeReport(j.root, j.kind))
	}
	return errors.Join(append(errs, j.sweep(j.kind, &mine))...)
}
