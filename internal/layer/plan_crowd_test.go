package layer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/trust"
)

// TestPlanCrowd plans 200 extensions with long names.
func TestPlanCrowd(t *testing.T) {
	t.Parallel()
	files := someHost()
	const crowd = 200
	for n := range crowd {
		name := fmt.Sprintf("run/extensions/%0180d", n)
		for _, f := range []string{"usr/bin/a", "usr/share/b", "usr/lib/c/d/e"} {
			files[fmt.Sprintf("%s/%s%d", name, f, n)] = "x"
		}
		files[fmt.Sprintf("%s/usr/lib/extension-release.d/extension-release.%0180d", name, n)] = fits
	}
	root := system(t, files)
	with, err := plan(t, layer.Request{Root: root, Kind: extension.Sysext(), User: os.Getuid(), Policy: policy(t, "any"), Engine: layer.EngineSystemd})
	if err != nil {
		t.Fatal(err)
	}
	if len(with.Warnings) != 1 || !strings.HasPrefix(with.Warnings[0].Text, "the names of 200 extensions take 43200 bytes in systemd's mount options") {
		t.Errorf("%+v", with.Warnings)
	}
	p, err := plan(t, layer.Request{Root: root, Kind: extension.Sysext(), User: os.Getuid(), Policy: policy(t, "any")})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) != 0 {
		t.Errorf("%+v", p.Warnings)
	}
	if n := len(p.Merged()); n != crowd {
		t.Errorf("%d of %d are merged", n, crowd)
	}
	if n := len(p.Stacks[1].Layers); n != crowd || p.Stacks[1].Layers[0].Name != p.Items[crowd-1].Name {
		t.Errorf("%d layers of %d", n, crowd)
	}
}

// BenchmarkPlan plans 200 extensions of 100 files each, a third of which the host
// has, too.
func BenchmarkPlan(b *testing.B) {
	folder := b.TempDir()
	put := func(name, text string) {
		at := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	put("etc/os-release", "ID=debian\n")
	for n := range 3000 {
		put(fmt.Sprintf("usr/bin/%d", n), "x")
	}
	for n := range 200 {
		name := fmt.Sprintf("e%d", n)
		put("run/extensions/"+name+"/usr/lib/extension-release.d/extension-release."+name, fits)
		for f := range 33 {
			put(fmt.Sprintf("run/extensions/%s/usr/bin/%d", name, f+n), "x")
			put(fmt.Sprintf("run/extensions/%s/usr/share/%s/%d", name, name, f), "x")
			put(fmt.Sprintf("run/extensions/%s/usr/lib/%s/a/b/%d", name, name, f), "x")
		}
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	anything, err := trust.ParsePolicy("any")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p, err := layer.MakePlan(b.Context(), layer.Request{Root: root, Kind: extension.Sysext(), User: os.Getuid(), Policy: anything})
		if err != nil {
			b.Fatal(err)
		}
		if len(p.Merged()) != 200 {
			b.Fatal("not all are merged")
		}
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
