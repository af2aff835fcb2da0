package media_test

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/media"
)

// A plan's folders do not overlap and leave nothing out, and say what can move.
func TestPlan(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("0123456789abcdef", 1<<17) // 2 MiB
	dir := rootFolder(t, map[string]string{
		"usr/lib/systemd/systemd": big, "usr/lib/systemd/other": "x", "usr/bin/bash": big, "usr/bin/tool": big, "usr/share/a/b/c": big[:1<<19],
		"usr/share/a/b/d": big[:1<<19], "usr/share/a/e": "x", "opt/x/y": big, "var/lib/z": big, "etc/f": "x", "boot/ignored": big, "tmp/ignored": big,
	})
	if err := os.Link(filepath.Join(dir, "opt/x/y"), filepath.Join(dir, "opt/x/again")); err != nil {
		t.Fatal(err)
	}
	plan, err := media.Plan(t.Context(), open(t, dir, media.SystemOptions{}), media.PlanOptions{Move: []string{"/opt/", "usr/share/a/b", "/usr/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"/usr/lib/systemd/systemd": "systemd runs", "/usr/bin/bash": "scripts run", "/usr/bin/tool": "", "/usr/share/a/b": "",
		"/opt/x/y": "", "/var/lib/z": "extend /usr and /opt only", "/": "extend /usr and /opt only",
	}
	var size, packed int64
	var share float64
	var files int
	for _, f := range plan.Folders {
		stays, known := want[f.Path]
		if !known || !strings.Contains(f.Stays, stays) || (stays == "") != (f.Stays == "") || f.Rest != (f.Path == "/") {
			t.Errorf("folder %+v", f)
		}
		size, packed, share, files = size+f.Size, packed+f.Packed, share+f.Share, files+f.Files
	}
	if len(plan.Folders) != len(want) || size != plan.Content || packed != plan.Packed || files != plan.Files || math.Abs(share-1) > 1e-9 {
		t.Errorf("%d folders add up to %d bytes, %d packed, %d files and %f, of %+v", len(plan.Folders), size, packed, files, share, plan)
	}
	if plan.Content != 11<<20+3 || plan.Files != 10 {
		t.Errorf("%d bytes in %d files", plan.Content, plan.Files)
	}
	if plan.Saved != 3<<20 || plan.Moves[2].Stays == "" || plan.Moves[2].Size != 4<<20 || plan.SavedPacked != plan.Moves[0].Packed+plan.Moves[1].Packed || plan.After != plan.EFI-plan.SavedPacked {
		t.Errorf("moves %+v save %d, %d packed; %d of %d are left", plan.Moves, plan.Saved, plan.SavedPacked, plan.After, plan.EFI)
	}
	if len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "/usr/bin cannot move: not as a whole: it holds /usr/bin/bash") {
		t.Errorf("warnings %q", plan.Warnings)
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	s := open(t, rootFolder(t, map[string]string{"usr/a/b": "x", "boot/x": "x", "tmp/x": "x"}), media.SystemOptions{})
	for name, c := range map[string]struct {
		o    media.PlanOptions
		want string
	}{
		"missing":   {media.PlanOptions{Move: []string{"usr/c"}}, "file does not exist"},
		"the root":  {media.PlanOptions{Move: []string{"/"}}, "not what an image is made of"},
		"boot":      {media.PlanOptions{Move: []string{"boot/x"}}, "not what an image is made of"},
		"transient": {media.PlanOptions{Move: []string{"tmp/x"}}, "not what an image is made of"},
		"twice":     {media.PlanOptions{Move: []string{"usr/a", "/usr/a/"}}, "hold each other"},
		"nested":    {media.PlanOptions{Move: []string{"usr/a/b", "usr/a"}}, "hold each other"},
		"kernel":    {media.PlanOptions{Kernel: "6.1"}, "no kernel"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := media.Plan(t.Context(), s, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, fs.ErrNotExist) != (name == "missing") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := media.Plan(ctx, s, media.PlanOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled, it gives %v", err)
	}
}
