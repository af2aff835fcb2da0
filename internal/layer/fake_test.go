package layer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/layer"
)

// errFailed is how a fake program fails.
var errFailed = errors.New("exit status 1")

// world is a machine: what its programs answer, and what was called.
type world struct {
	t    *testing.T
	root *os.Root
	// unit is what systemctl shows, a line each; after, if any, what it shows
	// once the service was reloaded.
	unit, after string
	// fails says what the call that begins so writes on standard error as it
	// fails; missing are the programs that are not installed.
	fails   map[string]string
	missing []string
	once    bool // it fails but once
	journal string
	// during is called when the service or the tool is.
	during func(ctx context.Context) error
	// version and environment are what the tool and the service answer to that.
	version, environment string
	// onRefresh is called when something is merged.
	onRefresh func()

	calls []string
	envs  [][]string
}

const (
	active   = "LoadState=loaded\nActiveState=active\nCanReload=yes\nNeedDaemonReload=no\n"
	inactive = "LoadState=loaded\nActiveState=inactive\nCanReload=yes\nNeedDaemonReload=no\n"
	old      = "LoadState=loaded\nActiveState=active\nCanReload=no\nNeedDaemonReload=no\n"
	changed  = "LoadState=loaded\nActiveState=active\nCanReload=yes\nNeedDaemonReload=yes\n"
	masked   = "LoadState=masked\nActiveState=inactive\nCanReload=no\nNeedDaemonReload=no\n"
	unknown  = "LoadState=not-found\nActiveState=inactive\nCanReload=no\nNeedDaemonReload=no\n"
)

// Run implements layer.Runner.
func (w *world) Run(ctx context.Context, c layer.Call) (layer.Output, error) {
	if ctx.Err() != nil {
		return layer.Output{}, ctx.Err() // as the real one: nothing is started
	}
	line := strings.Join(c.Argv, " ")
	w.envs = append(w.envs, c.Env)
	if c.Argv[0] != "systemctl" || c.Argv[1] != "show" {
		note := line
		if i := slices.IndexFunc(c.Env, func(v string) bool { return strings.HasPrefix(v, "SYSTEMD_DISSECT") }); i >= 0 {
			note = c.Env[i] + " " + line
		}
		w.calls = append(w.calls, note)
	}
	if slices.Contains(w.missing, c.Argv[0]) {
		return layer.Output{}, &exec.Error{Name: c.Argv[0], Err: exec.ErrNotFound}
	}
	for begin, said := range w.fails {
		if strings.HasPrefix(line, begin) {
			if w.once {
				delete(w.fails, begin)
			}
			return layer.Output{Stderr: []byte(said)}, errFailed
		}
	}
	switch {
	case strings.HasSuffix(line, "--version"):
		return layer.Output{Stdout: []byte(w.version)}, nil
	case strings.HasPrefix(line, "systemctl show --property=Environment "):
		return layer.Output{Stdout: []byte(w.environment)}, nil
	case strings.HasPrefix(line, "systemctl show"):
		return layer.Output{Stdout: []byte(w.unit)}, nil
	case strings.HasPrefix(line, "journalctl --quiet"):
		return layer.Output{Stdout: []byte(w.journal)}, nil
	case strings.Contains(line, "reload-or-restart"), strings.HasSuffix(line, "refresh"):
		if w.after != "" {
			w.unit = w.after
		}
		if w.onRefresh != nil {
			w.onRefresh()
		}
		if w.during != nil {
			return layer.Output{}, w.during(ctx)
		}
	}
	return layer.Output{}, nil
}

// newWorld makes a machine with systemd as PID 1, or without.
func newWorld(t *testing.T, managed bool) *world {
	t.Helper()
	folder := t.TempDir()
	if managed {
		if err := os.MkdirAll(filepath.Join(folder, "run/systemd/system"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &world{t: t, root: root, unit: active}
}

func (w *world) engine(env map[string]string) *layer.Systemd {
	return layer.New(w.root, layer.Options{
		Runner: w, Timeout: time.Minute,
		Getenv: func(name string) string { return env[name] },
		Now:    func() time.Time { return time.Unix(1700000000, 5000) },
	})
}

// write writes a file of the machine.
func (w *world) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.root.Name(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// merge leaves what a merge leaves. What is not of the device of the hierarchy
// was copied there.
func (w *world) merge(k extension.Kind, hierarchy, names string, copied bool) {
	w.t.Helper()
	marker := filepath.Join(hierarchy, ".systemd-"+k.Name)
	w.write(filepath.Join(marker, filepath.Base(k.RunFolder)), names)
	info, err := w.root.Stat(hierarchy)
	if err != nil {
		w.t.Fatal(err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		w.t.Fatal("no attributes")
	}
	device := stat.Dev
	minor := unix.Minor(device)
	if copied {
		minor++
	}
	w.write(filepath.Join(marker, "dev"), fmt.Sprintf("%d:%d\n", unix.Major(device), minor))
}

func (w *world) dropIn(k extension.Kind) string {
	w.t.Helper()
	text, err := w.root.ReadFile("run/systemd/system/" + k.Unit + ".d/" + layer.DropIn)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	return string(text)
}
