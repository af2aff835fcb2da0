package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/rooted"
)

func (o *systemdOptions) merge(ctx context.Context, env *Env, k extension.Kind, word string) error {
	l, err := o.merging().open(env, k)
	if err != nil {
		return err
	}
	defer l.system.close()
	if switchedOff(env, l.system, k) {
		fmt.Fprintf(env.Stderr, "The kernel command line says systemd.%s=0, nothing is merged.\n", k.Name)
		return nil
	}
	run := layer.RunOptions{NoReload: o.noReload, Always: o.always.on()}
	var said []layer.Warning
	do := env.before(func(ctx context.Context, e layer.Engine, p *layer.Plan) (*layer.Result, error) {
		if word == "merge" {
			return e.Merge(ctx, p, run)
		}
		return e.Refresh(ctx, p, run)
	}, &said)
	var report *mergeReport
	var using []string
	err = l.execute(ctx, do, func(e layer.Engine, p *layer.Plan, r *layer.Result, root *os.Root) (err error) {
		for _, i := range p.Merged() {
			using = append(using, i.Place)
		}
		report, err = l.report(ctx, e, p, r, root)
		return err
	})
	if report != nil {
		env.warnMerge(report, said)
	}
	if err != nil {
		return layerError(k, err)
	}
	o.sayMerged(env, report, using)
	return report.verdict(k)
}

// sayMerged says what became of a merge in systemd's words. using are the places of
// what it was made of, of which nothing need be to be seen.
func (o *systemdOptions) sayMerged(env *Env, r *mergeReport, using []string) {
	ignored := 0
	for _, x := range r.Extensions {
		if x.State != layer.Skipped && x.State != layer.Shadowed && !slices.Contains(using, x.Path) {
			ignored++
		}
	}
	switch {
	case r.Unchanged && len(r.Hierarchies) > 0:
		fmt.Fprintln(env.Stderr, "Skipping extension refresh because no change was found, use --always-refresh=yes to always do a refresh.")
		return
	case len(using) > 0:
		var names []string
		for _, place := range using {
			names = append(names, "'"+printable(path.Base(place))+"'")
		}
		fmt.Fprintf(env.Stderr, "Using extensions %s.\n", strings.Join(names, ", "))
	case len(r.Hierarchies) > 0: // by a mode that merges nothing, too
	case ignored > 0:
		fmt.Fprintf(env.Stderr, "No suitable extensions found (%d ignored due to incompatible image(s)).\n", ignored)
	default:
		fmt.Fprintln(env.Stderr, "No extensions found.")
	}
	o.sayUnmerged(env, r.Unmerged)
	for _, h := range slices.Backward(r.Hierarchies) {
		fmt.Fprintf(env.Stderr, "Merged extensions into '%s'.\n", printable(o.at(h.Hierarchy)))
	}
}

func (o *systemdOptions) sayUnmerged(env *Env, paths []string) {
	for _, p := range slices.Backward(paths) {
		fmt.Fprintf(env.Stderr, "Unmerged '%s'.\n", printable(o.at(p)))
	}
}

func (o *systemdOptions) unmerge(ctx context.Context, env *Env, k extension.Kind) error {
	m := o.merging()
	m.imagePolicy, m.mutable = "", ""
	l, err := m.open(env, k)
	if err != nil {
		return err
	}
	defer l.system.close()
	err = l.home(func(root *os.Root) error {
		e, err := l.choose(ctx, root)
		if err != nil {
			return err
		}
		result, err := e.Unmerge(ctx, k, layer.RunOptions{NoReload: o.noReload})
		if result != nil {
			o.sayUnmerged(env, result.Unmerged)
			env.warnOf(result.Warnings)
		}
		return errors.Join(err, e.Close())
	})
	if err != nil {
		return layerError(k, err)
	}
	return nil
}

// switchedOff says whether the kernel's command line forbids the service manager to
// merge; who calls by hand may.
func switchedOff(env *Env, s *system, k extension.Kind) bool {
	if env.Getenv("SYSTEMD_EXEC_PID") != strconv.Itoa(os.Getpid()) {
		return false
	}
	line, err := s.root.ReadFile("proc/cmdline")
	if err != nil {
		return false
	}
	key := "systemd." + k.Name + "="
	if inInitrd(s.root) {
		key = "rd." + key
	}
	off := false
	for word := range strings.FieldsSeq(string(line)) {
		if value, found := strings.CutPrefix(word, key); found {
			var t truth
			off = t.Set(value) == nil && !t.on()
		}
	}
	return off
}

// inInitrd says whether the system is an initial RAM disk.
func inInitrd(root *os.Root) bool {
	_, err := rooted.Resolve(root, "etc/initrd-release")
	return err == nil
}
