package layer_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/mount"
	"inlay/test/need"
)

// engineOf is systemd's engine for a machine, whose merges are made by whatever
// the test says.
func (w *world) engineOf(t *testing.T, running bool, mapper error) *layer.SystemdEngine {
	t.Helper()
	e, err := layer.NewSystemd(w.root, layer.SystemdOptions{
		Options: layer.Options{Runner: w, Getenv: func(string) string { return "" }},
		Within:  func(fn func() error) error { return fn() },
		Mapper:  func() error { return mapper },
	})
	if err != nil {
		t.Fatal(err)
	}
	if running {
		e.Running()
	}
	return e
}

// engineApart is systemd's engine for a running machine with dm-verity. What it covers
// is covered in a mount namespace of its own.
func (w *world) engineApart(t *testing.T) *layer.SystemdEngine {
	t.Helper()
	need.Root(t)
	apart, err := mount.NewApart()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { apart.Close() })
	e, err := layer.NewSystemd(w.root, layer.SystemdOptions{
		Options: layer.Options{Runner: w, Getenv: func(string) string { return "" }},
		Within:  apart.Run,
		Mapper:  func() error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Running()
	return e
}

// TestSystemdEngine shows how systemd's engine calls systemd.
func TestSystemdEngine(t *testing.T) {
	t.Parallel()
	yes := true
	const version = "systemd-sysext --version"
	for _, test := range []struct {
		name    string
		managed bool
		version string
		ask     func(*layer.Request)
		run     layer.RunOptions
		merge   bool // instead of a refresh
		calls   []string
		env     string
		err     string
	}{
		{name: "by the service", managed: true, calls: []string{version, reload}},
		{name: "by the tool", calls: []string{version, "systemd-sysext --root=ROOT refresh"}},
		{name: "merge", managed: true, merge: true, calls: []string{version, "systemd-sysext --mutable=no merge"}},
		{name: "force", managed: true, ask: func(r *layer.Request) { r.Force = true }, calls: []string{version, "systemd-sysext --force --mutable=no refresh"}},
		{name: "no reload", managed: true, run: layer.RunOptions{NoReload: true}, calls: []string{version, "systemd-sysext --no-reload --mutable=no refresh"}},
		{name: "noexec", managed: true, ask: func(r *layer.Request) { r.NoExec = &yes }, calls: []string{version, "systemd-sysext --noexec=true --mutable=no refresh"}},
		{name: "a mode", managed: true, ask: func(r *layer.Request) { r.Mutable = layer.Ephemeral }, calls: []string{version, "systemd-sysext --mutable=ephemeral refresh"}},
		{
			name: "a policy", managed: true, ask: func(r *layer.Request) { r.Policy, r.PolicyGiven = policy(t, "root=signed+absent"), true },
			calls: []string{version, "systemd-sysext --image-policy=root=signed+absent --mutable=no refresh"},
		},
		{name: "hierarchies", managed: true, ask: hierarchies("/opt", "/usr/bin"), calls: []string{version, "systemd-sysext --mutable=no refresh"}, env: "SYSTEMD_SYSEXT_HIERARCHIES=/opt:/usr/bin"},
		{name: "always, which 257 does anyway", managed: true, run: layer.RunOptions{Always: true}, calls: []string{version, "systemd-sysext --mutable=no refresh"}},
		{name: "always", managed: true, version: "systemd 260.1", run: layer.RunOptions{Always: true}, calls: []string{version, "systemd-sysext --mutable=no --always-refresh=yes refresh"}},
		{name: "no mode in 255", managed: true, version: "systemd 255 (255.4)", merge: true, calls: []string{version, "systemd-sysext merge"}},
		{name: "a mode in 255", managed: true, version: "systemd 255 (255.4)", ask: func(r *layer.Request) { r.Mutable = layer.Mutable }, calls: []string{version}, err: "systemd 255 merges nothing that can be written to"},
		{
			name: "a policy in 252", managed: true, version: "systemd 252\n", ask: func(r *layer.Request) { r.PolicyGiven, r.Policy = true, policy(t, "any") },
			calls: []string{version}, err: "systemd 252 knows no image policy",
		},
		{name: "signatures set aside", managed: true, ask: func(r *layer.Request) { r.SetAside, r.Force = true, true }, calls: []string{version, aside + "systemd-sysext --force --mutable=no refresh"}},
		{name: "no version", managed: true, version: "something else", calls: []string{version}, err: `systemd-sysext says "something else"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.managed)
			someHost().lay(t, w.root.Name())
			if w.version = test.version; w.version == "" {
				w.version = "systemd 257 (257.13-1~deb13u1)\n+PAM\n"
			}
			r := layer.Request{Root: w.root, Kind: extension.Sysext(), Policy: policy(t, "any"), User: os.Getuid()}
			if test.ask != nil {
				test.ask(&r)
			}
			do := layer.Refresh
			if test.merge {
				do = layer.MergeAnew
			}
			_, _, err := do(t.Context(), w.engineOf(t, test.managed, nil), r, test.run)
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			for i := range w.calls {
				w.calls[i] = strings.ReplaceAll(w.calls[i], w.root.Name(), "ROOT")
			}
			if diff := cmp.Diff(test.calls, w.calls); diff != "" {
				t.Error(diff)
			}
			if test.env != "" {
				last := strings.Join(w.envs[len(w.envs)-1], "\n")
				if !strings.HasSuffix(last, test.env) {
					t.Errorf("environment %s", last)
				}
			}
		})
	}
}

// TestSystemdDiffers unmerges what systemd has merged beside the plan.
func TestSystemdDiffers(t *testing.T) {
	t.Parallel()
	k := extension.Sysext()
	w := newWorld(t, true)
	someHost().plus(ext("run/extensions/one", fits, "usr/one")).lay(t, w.root.Name())
	w.version = "systemd 257\n"
	e := w.engineOf(t, true, nil)
	w.onRefresh = func() { w.merge(k, "usr", "one\ntwo\n", false) }
	_, result, err := layer.Refresh(t.Context(), e, layer.Request{Root: w.root, Kind: k, Policy: policy(t, "any"), User: os.Getuid()}, layer.RunOptions{})
	if !errors.Is(err, layer.ErrDiffers) || !strings.Contains(err.Error(), `"two" was merged, and was not to be`) {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"systemd-sysext --version", reload, "systemd-sysext --version", "systemd-sysext unmerge"}, w.calls); diff != "" {
		t.Error(diff)
	}
	if result == nil || len(result.Merged) != 0 {
		t.Errorf("%+v", result)
	}
	if report, err := layer.ReadReport(w.root, k); report != nil || err != nil {
		t.Errorf("a report of it: %v %v", report, err)
	}
}

// TestSystemdNames leaves out what systemd says it fails of, and tries again.
func TestSystemdNames(t *testing.T) {
	t.Parallel()
	k := extension.Sysext()
	w := newWorld(t, true)
	someHost().plus(ext("run/extensions/one", fits, "usr/one"), ext("run/extensions/two", fits, "usr/two")).lay(t, w.root.Name())
	w.version = "systemd 257\n"
	e := w.engineOf(t, true, nil)
	w.fails = map[string]string{reload: "Failed to read metadata for image three: No medium found\n"}
	_, _, err := layer.Refresh(t.Context(), e, layer.Request{Root: w.root, Kind: k, Policy: policy(t, "any"), User: os.Getuid()}, layer.RunOptions{})
	if err == nil || !strings.Contains(err.Error(), "three") {
		t.Errorf("an image that is none of ours: %v", err)
	}
}

// TestSystemdEnvironment plans by what the service gets.
func TestSystemdEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	someHost().lay(t, w.root.Name())
	w.version = "systemd 257\n"
	w.environment = `A=b "SYSTEMD_SYSEXT_HIERARCHIES=/opt:/usr/bin" SYSTEMD_SYSEXT_MUTABLE_MODE=ephemeral` + "\n"
	p, _, err := layer.Refresh(t.Context(), w.engineOf(t, true, nil), layer.Request{Root: w.root, Kind: extension.Sysext(), Policy: policy(t, "any"), User: os.Getuid()}, layer.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/opt", "/usr/bin"}, p.Request.Hierarchies); diff != "" || p.Request.Mutable != layer.Ephemeral {
		t.Errorf("%s %s", diff, p.Request.Mutable)
	}
}

// TestChoose shows which engine is chosen where.
func TestChoose(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, engine, version string
		missing               bool
		want, err             string
	}{
		{name: "another root", version: "systemd 257", want: layer.EngineNative},
		{name: "native", engine: layer.EngineNative, version: "systemd 257", want: layer.EngineNative},
		{name: "systemd", engine: layer.EngineSystemd, version: "systemd 257", want: layer.EngineSystemd},
		{name: "systemd, too old", engine: layer.EngineSystemd, version: "systemd 247", err: "systemd 247 does not"},
		{name: "systemd, missing", engine: layer.EngineSystemd, missing: true, err: layer.ErrNoTool.Error()},
		{name: "another", engine: "foreign", err: `"foreign" is no engine`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			w.version = test.version
			if test.missing {
				w.missing = []string{"systemd-sysext"}
			}
			e, err := layer.Choose(t.Context(), w.root, extension.Sysext(), layer.EngineOptions{Name: test.engine, Systemd: layer.SystemdOptions{Options: layer.Options{Runner: w}}})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if e.Name() != test.want {
				t.Errorf("%s, want %s", e.Name(), test.want)
			}
		})
	}
}
