package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/osrelease"
	"inlay/internal/rooted"
)

// Keys by which a release file asks for something of the service manager, beside
// extension.KeyReloadManager.
const (
	keyRestart  = "EXTENSION_RESTART_UNITS"
	keyReload   = "EXTENSION_RELOAD_OR_RESTART_UNITS"
	openRC      = "run/openrc"
	maxUnitName = 255
)

// wishes are what extensions ask of the service manager once they are merged, or no
// longer are.
type wishes struct {
	reload           bool
	restart, reloads []string // units
	warnings         []Warning
}

// add takes in what others ask for.
func (w *wishes) add(other wishes) {
	w.reload = w.reload || other.reload
	w.restart = append(w.restart, other.restart...)
	w.reloads = append(w.reloads, other.reloads...)
	w.warnings = append(w.warnings, other.warnings...)
}

// read takes in what the release file of one extension asks for.
func (w *wishes) read(name string, r *osrelease.Release) {
	switch strings.ToLower(r.Get(extension.KeyReloadManager)) {
	case "", "0", "no", "n", "false", "f", "off":
	case "1", "yes", "y", "true", "t", "on":
		w.reload = true
	default:
		w.warnings = append(w.warnings, Warning{Text: fmt.Sprintf("%s=%q of extension %q is neither yes nor no", extension.KeyReloadManager, r.Get(extension.KeyReloadManager), name)})
	}
	for key, units := range map[string]*[]string{keyRestart: &w.restart, keyReload: &w.reloads} {
		for unit := range strings.FieldsSeq(r.Get(key)) {
			if !isUnit(unit) {
				w.warnings = append(w.warnings, Warning{Text: fmt.Sprintf("%s= of extension %q names %q, which is no unit", key, name, unit)})
				continue
			}
			*units = append(*units, unit)
			w.reload = true
		}
	}
}

// isUnit says whether name can be that of a unit of systemd. It becomes an argument
// of systemctl.
func isUnit(name string) bool {
	const others = ":-_.\\@"
	suffixes := []string{".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path", ".timer", ".slice", ".scope"}
	stem := strings.TrimSuffix(name, path.Ext(name))
	return len(name) <= maxUnitName && stem != "" && name[0] != '-' && name[0] != '@' && slices.Contains(suffixes, path.Ext(name)) &&
		strings.IndexFunc(name, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(others, r)
		}) < 0
}

// wishesOf are those of a plan's extensions.
func (n *Native) wishesOf(p *Plan) wishes {
	var w wishes
	for _, i := range p.Merged() {
		if i.Release != nil {
			w.read(i.Name, i.Release.Release)
		}
	}
	return w
}

// wishesOfMerged are those of what is merged now. An extension whose release file
// cannot be told apart in the merge has none.
func (n *Native) wishesOfMerged(k extension.Kind, merged []merge) wishes {
	var w wishes
	if !n.running {
		return w
	}
	var names []string
	for _, m := range merged {
		names = append(names, m.Extensions...)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		for _, called := range []string{name, extension.BaseName(name)} {
			text, err := rooted.ReadFile(n.root, k.ReleaseFile(called), osrelease.MaxSize)
			if err != nil {
				continue
			}
			if r, err := osrelease.Parse(text); err == nil {
				w.read(name, r)
			}
			break
		}
	}
	w.warnings = nil // said when it was merged
	return w
}

// reload does what extensions ask for, where systemd is the service manager. What
// fails is a warning: the merge is made.
func (n *Native) reload(ctx context.Context, w wishes) []Warning {
	all := w.warnings
	if !w.reload || !n.running {
		return all
	}
	slices.Sort(w.restart)
	slices.Sort(w.reloads)
	restart := slices.Compact(w.restart)
	reloads := slices.DeleteFunc(slices.Compact(w.reloads), func(unit string) bool { return slices.Contains(restart, unit) })
	if !n.manager.managed() {
		return append(all, n.unmanaged(slices.Concat(restart, reloads))...)
	}
	note := func(err error) {
		if err != nil {
			all = append(all, Warning{Text: err.Error(), Hints: hint.Of(err)})
		}
	}
	// What has begun is brought to its end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), defaultTimeout)
	defer cancel()
	if err := n.manager.systemctl(ctx, "daemon-reload"); err != nil {
		note(hint.Default(err, "when it answers again: systemctl daemon-reload"))
		return all
	}
	for _, unit := range restart {
		note(n.rouse(ctx, "restart", unit))
	}
	for _, unit := range reloads {
		note(n.rouse(ctx, "reload-or-restart", unit))
	}
	return all
}

// rouse restarts or reloads a unit; one that is gone with its extension is stopped.
func (n *Native) rouse(ctx context.Context, verb, unit string) error {
	out, err := n.manager.run(ctx, "systemctl", "show", "--property=LoadState", "--", unit)
	if err == nil && slices.Contains(strings.Fields(string(out.Stdout)), "LoadState=not-found") {
		verb = "stop"
	}
	if err := n.manager.systemctl(ctx, verb, "--", unit); err != nil {
		return hint.Wrap(fmt.Errorf("unit %s: %w", unit, err), "see why: systemctl status "+unit)
	}
	return nil
}

// unmanaged says what is left to do by hand where systemd isn't the manager.
func (n *Native) unmanaged(units []string) []Warning {
	if len(units) == 0 {
		return nil
	}
	_, err := n.root.Lstat(openRC)
	who := "no systemd runs here"
	if !errors.Is(err, fs.ErrNotExist) {
		who = "OpenRC manages the services here"
	}
	return []Warning{{
		Text:  fmt.Sprintf("extensions ask for %s to be restarted, and are left alone with it: %s", strings.Join(units, ", "), who),
		Hints: []string{"restart the services of that name by hand"},
	}}
}
