package layer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/layer"
)

const (
	reload  = "systemctl --no-ask-password reload-or-restart systemd-sysext.service"
	journal = "journalctl --quiet --no-pager --output=cat --lines=20 --since=@1700000000.000005 " +
		"SYSLOG_IDENTIFIER=systemd-sysext + _SYSTEMD_UNIT=systemd-sysext.service"
	daemonReload = "systemctl daemon-reload"
	resetFailed  = "systemctl reset-failed systemd-sysext.service"
	aside        = "SYSTEMD_DISSECT_VERITY_SIGNATURE=0 "
)

// TestRefresh shows which programs are called, in which order, on which machine.
func TestRefresh(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		unmanaged bool // systemd is not PID 1
		world     world
		hand      bool // somebody has merged by hand
		before    bool // the drop-in is there already
		aside     bool // signatures are to be set aside
		calls     []string
		dropIn    bool     // the drop-in is there afterwards
		wants     []string // parts of the error
	}{
		{name: "service that runs", calls: []string{reload}},
		{name: "service that never ran", world: world{unit: inactive, after: active}, calls: []string{resetFailed, reload}},
		{name: "service of 252, which cannot reload", world: world{unit: old}, calls: []string{resetFailed, reload}},
		{name: "drop-ins that were changed", world: world{unit: changed}, calls: []string{daemonReload, reload}},
		{
			name: "nothing to merge", world: world{unit: inactive},
			calls: []string{resetFailed, reload},
		},
		{
			name: "nothing to merge, but merged by hand", world: world{unit: inactive}, hand: true,
			calls: []string{resetFailed, reload, "systemd-sysext refresh"},
		},
		{name: "no service", world: world{unit: unknown}, calls: []string{"systemd-sysext refresh"}},
		{name: "no systemctl", world: world{missing: []string{"systemctl"}}, calls: []string{"systemd-sysext refresh"}},
		{name: "in a chroot, where systemctl says nothing", world: world{unit: "\n"}, calls: []string{"systemd-sysext refresh"}},
		{name: "masked", world: world{unit: masked}, wants: []string{"systemd-sysext.service is masked", "systemctl unmask"}},
		{
			name: "not to be asked", world: world{fails: map[string]string{"systemctl show": "Failed to connect to bus\n"}},
			wants: []string{"asking about systemd-sysext.service: systemctl says: Failed to connect to bus (exit status 1)"},
		},
		{
			name:  "refused",
			world: world{fails: map[string]string{reload: "Job failed.\nSee journalctl.\n"}, journal: "Failed to read metadata for image c: No medium found\n"},
			calls: []string{reload, "journalctl --sync", journal},
			wants: []string{"refreshing what is merged of kind sysext: systemd-sysext says: Failed to read metadata for image c: No medium found (exit status 1)", "journalctl -u"},
		},
		{
			name:  "refused, without a journal",
			world: world{fails: map[string]string{reload: "Job failed.\n"}, missing: []string{"journalctl"}},
			calls: []string{reload, "journalctl --sync", journal},
			wants: []string{"systemd-sysext says: Job failed. (exit status 1)"},
		},
		{
			name:  "refused for want of a key",
			world: world{fails: map[string]string{reload: "Job failed.\n"}, journal: "device-mapper: reload ioctl failed: Required key not available\nFailed to merge hierarchies\n"},
			calls: []string{reload, "journalctl --sync", journal},
			wants: []string{"not available; Failed to merge hierarchies", "into /etc/verity.d", "journalctl -u"},
		},
		{
			name: "daemon-reload fails", world: world{unit: changed, fails: map[string]string{daemonReload: "No.\n"}},
			calls: []string{daemonReload}, wants: []string{"systemctl daemon-reload says: No."},
		},

		{name: "signatures set aside", aside: true, calls: []string{daemonReload, reload}, dropIn: true},
		{name: "signatures set aside already", aside: true, before: true, calls: []string{reload}, dropIn: true},
		{name: "signatures count again", before: true, calls: []string{daemonReload, reload}},
		{
			name: "signatures set aside, and refused", aside: true, world: world{fails: map[string]string{reload: "No.\n"}},
			calls: []string{daemonReload, reload, "journalctl --sync", journal, daemonReload}, wants: []string{"No."},
		},
		{
			name: "signatures count again, and refused", before: true, world: world{fails: map[string]string{reload: "No.\n"}},
			calls: []string{daemonReload, reload, "journalctl --sync", journal, daemonReload}, dropIn: true, wants: []string{"No."},
		},
		{
			name: "signatures set aside, nothing to merge but merged by hand", aside: true, hand: true, world: world{unit: inactive},
			calls: []string{daemonReload, resetFailed, reload, aside + "systemd-sysext refresh"}, dropIn: true,
		},

		{name: "only installed", unmanaged: true, calls: []string{"systemd-sysext refresh"}},
		{name: "only installed, signatures set aside", unmanaged: true, aside: true, calls: []string{aside + "systemd-sysext refresh"}},
		{
			name: "only installed, refused", unmanaged: true, world: world{fails: map[string]string{"systemd-sysext": "Cannot.\nmerge\n"}},
			calls: []string{"systemd-sysext refresh"}, wants: []string{"systemd-sysext says: Cannot.; merge (exit status 1)"},
		},
		{
			name: "only installed, refused in silence", unmanaged: true, world: world{fails: map[string]string{"systemd-sysext": ""}},
			calls: []string{"systemd-sysext refresh"}, wants: []string{"systemd-sysext says nothing: exit status 1"},
		},
		{
			name: "nothing there", unmanaged: true, world: world{missing: []string{"systemd-sysext"}},
			calls: []string{"systemd-sysext refresh"}, wants: []string{layer.ErrNoTool.Error(), "systemd-sysext is not installed", "install systemd"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k := extension.Sysext()
			w := newWorld(t, !test.unmanaged)
			if test.world.unit == "" {
				test.world.unit = w.unit
			}
			w.unit, w.after, w.fails, w.missing, w.journal = test.world.unit, test.world.after, test.world.fails, test.world.missing, test.world.journal
			if test.hand {
				w.merge(k, "usr", "hello\n", false)
			}
			if test.before {
				w.write("run/systemd/system/"+k.Unit+".d/"+layer.DropIn, layer.DropInText)
			}
			err := w.engine(nil).Running().Refresh(t.Context(), k, layer.RefreshOptions{SetAsideSignatures: test.aside})
			if diff := cmp.Diff(test.calls, w.calls); diff != "" {
				t.Errorf("calls (-want +got)\n%s", diff)
			}
			if there := w.dropIn(k) == layer.DropInText; there != test.dropIn {
				t.Errorf("the drop-in is there: %v", there)
			}
			if (err != nil) != (len(test.wants) > 0) {
				t.Fatalf("got the error %v", err)
			}
			if err != nil {
				said := err.Error() + "\n" + strings.Join(hint.Of(err), "\n")
				for _, want := range test.wants {
					if !strings.Contains(said, want) {
						t.Errorf("got %q, want it to have %q", said, want)
					}
				}
			}
		})
	}
}

// TestRefreshBelowAnotherRoot: the manager is that of the running system.
func TestRefreshBelowAnotherRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	if err := w.engine(nil).Refresh(t.Context(), extension.Confext(), layer.RefreshOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"systemd-confext --root=" + w.root.Name() + " refresh"}, w.calls); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestEnvironment: what steers the merge gets through, what weakens it doesn't.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	e := w.engine(map[string]string{
		"SYSTEMD_SYSEXT_HIERARCHIES": "/usr/bin", "SYSTEMD_CONFEXT_HIERARCHIES": "/etc/x", "SYSTEMD_SYSEXT_MUTABLE_MODE": "ephemeral",
		"SYSTEMD_DISSECT_VERITY_SIGNATURE": "0", "SYSTEMD_ALLOW_USERSPACE_VERITY": "1", "LD_PRELOAD": "/x.so", "PATH": "/x",
	}).Running()
	if err := e.Refresh(t.Context(), extension.Sysext(), layer.RefreshOptions{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range w.envs[0] {
		if name, _, _ := strings.Cut(v, "="); name != "PATH" && name != "LC_ALL" && name != "SYSTEMD_COLORS" && name != "SYSTEMD_PAGER" && name != "SYSTEMD_LOG_TARGET" {
			got = append(got, v)
		}
	}
	want := []string{"SYSTEMD_SYSEXT_HIERARCHIES=/usr/bin", "SYSTEMD_SYSEXT_MUTABLE_MODE=ephemeral"}
	if diff := cmp.Diff(want, got); diff != "" || slices.Contains(w.envs[0], "PATH=/x") {
		t.Errorf("(-want +got)\n%s%q", diff, w.envs[0])
	}
}

// TestRefreshIsBounded: it ends by its own limit or the caller's deadline, but an
// interrupt doesn't stop it half way.
func TestRefreshIsBounded(t *testing.T) {
	t.Parallel()
	waits := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	t.Run("own limit", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, true)
		w.during = waits
		e := layer.New(w.root, layer.Options{Runner: w, Timeout: 10 * time.Millisecond}).Running()
		err := e.Refresh(t.Context(), extension.Sysext(), layer.RefreshOptions{SetAsideSignatures: true})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(strings.Join(hint.Of(err), ""), "list-jobs") {
			t.Errorf("got %v %q", err, hint.Of(err))
		}
		// What it did to the manager is undone all the same.
		if got := w.calls[len(w.calls)-1]; got != daemonReload || w.dropIn(extension.Sysext()) != "" {
			t.Errorf("the last call is %q, the drop-in %q", got, w.dropIn(extension.Sysext()))
		}
	})
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, false)
		w.during = waits
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		err := w.engine(nil).Running().Refresh(ctx, extension.Sysext(), layer.RefreshOptions{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("interrupt", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, true)
		ctx, cancel := context.WithCancel(t.Context())
		w.during = func(inner context.Context) error {
			cancel()
			return inner.Err()
		}
		if err := w.engine(nil).Running().Refresh(ctx, extension.Sysext(), layer.RefreshOptions{}); err != nil {
			t.Errorf("got %v", err)
		}
		calls := len(w.calls)
		if err := w.engine(nil).Running().Refresh(ctx, extension.Sysext(), layer.RefreshOptions{}); !errors.Is(err, context.Canceled) || len(w.calls) != calls {
			t.Errorf("begun after the interrupt: %v", err)
		}
	})
}
