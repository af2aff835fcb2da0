package layer_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/layer"
	"inlay/internal/mount"
	"inlay/test/need"
)

// managed has the engine take the host for the running system, and records what it
// calls.
func (h *host) managed(w *world) {
	h.runner = w
	h.running = true
}

// TestNativeReload: extensions have the service manager reloaded and units
// restarted, after a merge, a refresh and an unmerge.
func TestNativeReload(t *testing.T) {
	if !alone(t) {
		return
	}
	const reload = "systemctl daemon-reload"
	restart := func(unit string) string { return "systemctl restart -- " + unit }
	both := func(unit string) string { return "systemctl reload-or-restart -- " + unit }
	for _, c := range []struct {
		name    string
		release string
		without bool // systemd isn't the manager
		world   world
		options layer.RunOptions
		calls   []string
		warns   string
	}{
		{name: "nothing asked for"},
		{name: "no", release: "EXTENSION_RELOAD_MANAGER=0\n"},
		{name: "reload", release: "EXTENSION_RELOAD_MANAGER=1\n", calls: []string{reload}},
		{name: "neither", release: "EXTENSION_RELOAD_MANAGER=perhaps\n", warns: `EXTENSION_RELOAD_MANAGER="perhaps" of extension "one" is neither`},
		{
			name:    "units",
			release: "EXTENSION_RESTART_UNITS=\"b.service a.service\"\nEXTENSION_RELOAD_OR_RESTART_UNITS=\"a.service c.socket\"\n",
			calls:   []string{reload, restart("a.service"), restart("b.service"), both("c.socket")},
		},
		{
			name: "units that are none", release: "EXTENSION_RESTART_UNITS=\"--force /x.service a b.service\"\n",
			calls: []string{reload, restart("b.service")}, warns: `names "--force", which is no unit`,
		},
		{
			name: "a unit that is gone", release: "EXTENSION_RESTART_UNITS=a.service\n", world: world{unit: unknown},
			calls: []string{reload, "systemctl stop -- a.service"},
		},
		{
			name: "a unit that fails", release: "EXTENSION_RESTART_UNITS=\"a.service b.service\"\n", world: world{fails: map[string]string{restart("a.service"): "No.\n"}},
			calls: []string{reload, restart("a.service"), restart("b.service")}, warns: "unit a.service: systemctl restart says: No.",
		},
		{
			name: "a manager that fails", release: "EXTENSION_RESTART_UNITS=a.service\n", world: world{fails: map[string]string{reload: "No.\n"}},
			calls: []string{reload}, warns: "systemctl daemon-reload says: No.",
		},
		{name: "not wanted", release: "EXTENSION_RELOAD_MANAGER=1\n", options: layer.RunOptions{NoReload: true}},
		{name: "no systemd", release: "EXTENSION_RELOAD_MANAGER=1\n", without: true},
		{
			name: "no systemd, and units", release: "EXTENSION_RESTART_UNITS=a.service\n", without: true,
			warns: "ask for a.service to be restarted, and are left alone with it: OpenRC manages",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, unix.MS_PRIVATE)
			w := &c.world
			w.t = t
			if w.unit == "" {
				w.unit = active
			}
			h.managed(w)
			h.write("run/systemd/system/", "")
			if c.without {
				h.check(os.Remove(h.path("run/systemd/system")))
				h.write("run/openrc/", "")
			}
			h.extension("one", map[string]string{"release": c.release, "usr/bin/one": "one"})
			check := func(when string, warnings []layer.Warning, err error) {
				h.check(err)
				if diff := cmp.Diff(c.calls, w.calls); diff != "" {
					t.Errorf("%s: calls (-want +got)\n%s", when, diff)
				}
				var said []string
				for _, warning := range warnings {
					// The machine's other processes don't see this namespace's mounts.
					if !strings.HasPrefix(warning.Text, "still seen") {
						said = append(said, warning.Text)
					}
				}
				if text := strings.Join(said, "\n"); (text == "") != (c.warns == "") || !strings.Contains(text, c.warns) {
					t.Errorf("%s: warnings %q, want %q", when, text, c.warns)
				}
				w.calls = nil
			}
			r, err := h.do("merge", c.options)
			check("merge", r.Warnings, err)
			c.options.Always = true
			r, err = h.do("refresh", c.options)
			check("refresh", r.Warnings, err)
			if strings.Contains(c.warns, "neither") || strings.Contains(c.warns, "names") {
				c.warns = "" // said when it was merged
			}
			r, err = h.engine().Unmerge(t.Context(), h.kind, c.options)
			check("unmerge", r.Warnings, err)
		})
	}
}

// TestNativeHolders: services with a mount namespace of their own that goes on
// showing what was there before are named; those that see the merge are not.
func TestNativeHolders(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_SHARED)
	h.managed(&world{t: t, unit: active})
	h.extension("one", map[string]string{"usr/bin/one": "one"})
	service := func(propagation, name string) {
		t.Helper()
		sleep := h.path(name)
		data, err := os.ReadFile(need.Tool(t, "sleep", "coreutils"))
		h.check(err)
		h.check(os.WriteFile(sleep, data, 0o755))
		cmd := exec.CommandContext(t.Context(), need.Tool(t, "unshare", "util-linux"), "--mount", "--propagation", propagation,
			"sh", "-c", "echo; exec "+sleep+" 300")
		out, err := cmd.StdoutPipe()
		h.check(err)
		h.check(cmd.Start())
		t.Cleanup(func() { end(cmd) })
		var line [1]byte
		_, err = out.Read(line[:])
		h.check(err)
		eventually(t, func() bool {
			comm, err := os.ReadFile("/proc/" + itoa(cmd.Process.Pid) + "/comm")
			return err == nil && strings.TrimSpace(string(comm)) == name
		})
	}
	service("private", "has-its-own")
	service("slave", "receives-all")
	named := func(r *layer.Result) string {
		for _, warning := range r.Warnings {
			if strings.HasPrefix(warning.Text, "still seen as it was before by") {
				return warning.Text
			}
		}
		return ""
	}
	if text := named(h.merge()); !strings.Contains(text, "has-its-own (process ") || strings.Contains(text, "receives-all") {
		t.Errorf("the warning is %q", text)
	}
	h.extension("two", map[string]string{"usr/bin/two": "two"})
	if text := named(h.refresh()); !strings.Contains(text, "has-its-own (process ") || strings.Contains(text, "receives-all") {
		t.Errorf("the warning is %q", text)
	}
}

// TestNativeHome: from a mount namespace of its own, a merge gets to the one of
// another process.
func TestNativeHome(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.extension("one", map[string]string{"usr/bin/one": "one"})
	cmd := exec.CommandContext(t.Context(), need.Tool(t, "unshare", "util-linux"), "--mount", "--propagation", "private", "sh", "-c", "echo; exec sleep 300")
	out, err := cmd.StdoutPipe()
	h.check(err)
	h.check(cmd.Start())
	t.Cleanup(func() { end(cmd) })
	var line [1]byte
	_, err = out.Read(line[:])
	h.check(err)
	before := h.mounts()
	do := func(verb string) {
		h.check(layer.Home(cmd.Process.Pid, func(*os.Root) error {
			_, err := h.do(verb, layer.RunOptions{Always: true})
			return err
		}))
		if diff := cmp.Diff(before, h.mounts()); diff != "" {
			t.Errorf("%s: mounts of this namespace (-before +after):\n%s", verb, diff)
		}
		mounts, err := mount.MountsOf(cmd.Process.Pid)
		h.check(err)
		if on, known := mount.Covering(mounts, h.path("usr")); !known || on.Source != "sysext" {
			t.Errorf("%s: over there, /usr is on %+v", verb, on)
		}
	}
	do("merge")
	do("refresh")
	h.check(layer.Home(cmd.Process.Pid, func(*os.Root) error {
		_, err := h.engine().Unmerge(t.Context(), h.kind, layer.RunOptions{})
		return err
	}))
	if err := layer.Home(1<<30, func(*os.Root) error { return nil }); err == nil {
		t.Error("entered the namespace of no process")
	}
}

// end ends a process that would go on.
func end(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}
