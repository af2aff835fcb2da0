//go:build bench

package bench_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"inlay/test/debian"
)

const (
	rebuildGoal = 30 // P11, in milliseconds
	batchGoal   = 1.8
	batchNames  = 20 // P14, for two architectures each
	batchFiles  = 300
	batchRounds = 5
)

// TestRebuild measures a build whose image is there already, from each kind of
// source, beside the build itself.
func TestRebuild(t *testing.T) {
	programs := newTools(t)
	for _, p := range payloads()[:2] {
		at := memory(t)
		data := p.make(t)
		a := startAgent(t, debian.Tools(t), map[string]string{string(programs): "", at.folder: "", data.folder: ""})
		s := short{
			title: "Rebuilding what has not changed, payload " + p.name + " " + at.title, agent: a, folder: at.folder,
			about: data.about + ", signed; the source is there, the image too.",
		}
		for _, source := range []struct{ name, ref string }{
			{"folder", "dir:" + data.tree()},
			{"layer, gzip", "file:" + data.gzip()},
			{"OCI layout", "layout:" + data.layout()},
			{"registry", "oci:" + served(t, data)},
		} {
			output := filepath.Join(at.folder, strings.Fields(source.name)[0])
			if err := os.MkdirAll(output, 0o755); err != nil {
				t.Fatal(err)
			}
			argv := []string{
				programs.inlay(), "build", extensionName, source.ref, "-q", "-o", output, "--arch", "amd64",
				"--private-key", programs.keys() + "/db.key", "--certificate", programs.keys() + "/db.pem",
			}
			s.once(t, argv...)
			if text := s.once(t, argv...); !strings.Contains(text, "unchanged:") {
				t.Fatalf("%s: the second build is not told to be unchanged:\n%s", source.name, text)
			}
			s.rows = append(s.rows,
				shortRow{name: source.name + ", unchanged", argv: [][]string{argv}, goal: rebuildGoal},
				shortRow{name: source.name + ", built", argv: [][]string{append(slices.Clone(argv), "--no-cache")}, slow: true})
		}
		s.run(t)
		at.remove(t)
	}
}

// served pushes a payload's image to a registry on the loopback, and returns its name there.
func served(t *testing.T, data payload) string {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	server := httptest.NewServer(registry.New(registry.Logger(quiet)))
	t.Cleanup(server.Close)
	// From the layout, whose layers are packed already: that takes a minute.
	index, err := layout.ImageIndexFromPath(data.layout())
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	ref := strings.TrimPrefix(server.URL, "http://") + "/" + extensionName + ":1"
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(parsed, image); err != nil {
		t.Fatal(err)
	}
	return ref
}

// TestBatch sets one call for many images beside as many calls, one after the
// other, and sees that both make the same bytes.
func TestBatch(t *testing.T) {
	at, programs := memory(t), newTools(t)
	a := startShort(t, programs, at.folder)
	var list strings.Builder
	fmt.Fprintf(&list, "defaults:\n  arch: [amd64, arm64]\n  output: list/{arch}\n  private_key: %[1]s/db.key\n  certificate: %[1]s/db.pem\nextensions:\n", programs.keys())
	small, err := sources(t, batchFiles*batchNames, 256<<20, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var single [][]string
	for i := range batchNames {
		extension := fmt.Sprintf("extension%02d", i)
		for _, f := range small[i*len(small)/batchNames : (i+1)*len(small)/batchNames] {
			to := filepath.Join(at.folder, extension, f.To)
			text, err := os.ReadFile(f.From)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(to, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&list, "  - {name: %[1]s, source: \"dir:%[1]s\"}\n", extension)
		for _, arch := range []string{"amd64", "arm64"} {
			single = append(single, []string{
				programs.inlay(), "build", extension, "dir:" + filepath.Join(at.folder, extension), "-q", "--no-cache", "--json", "--arch", arch,
				"-o", filepath.Join(at.folder, "single", arch), "--private-key", programs.keys() + "/db.key", "--certificate", programs.keys() + "/db.pem",
			})
		}
	}
	file := filepath.Join(at.folder, "extensions.yaml")
	if err := os.WriteFile(file, []byte(list.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		if err := os.MkdirAll(filepath.Join(at.folder, "single", arch), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	together := [][]string{{programs.inlay(), "build", "--file", file, "--no-cache", "--json"}}
	before := load(t)
	var singles, batches []run
	for round := range batchRounds + 1 {
		one := a.do(t, job{Folder: filepath.Join(at.folder, "run"), Commands: single})
		all := a.do(t, job{Folder: filepath.Join(at.folder, "run"), Commands: together})
		if round == 0 {
			sameRoots(t, one.Warnings, all.Warnings)
			continue
		}
		singles, batches = append(singles, one), append(batches, all)
	}
	low := func(runs []run, value func(run) float64) float64 { return slices.Min(column(runs, value)) }
	ratio := low(singles, wallSeconds) / low(batches, wallSeconds)
	report(t, fmt.Sprintf("\n### %d images in one call\n\nMinimum of %d interleaved rounds in memory, load %s before, %s after.\n\n| | wall s | CPU s | peak MiB |\n|---|---|---|---|\n"+
		"| one call each | %.2f | %.2f | %.0f |\n| inlay build --file | %.2f | %.2f | %.0f |\n\n%.2f times as fast (goal %.1f).\n",
		len(single), batchRounds, before, load(t),
		low(singles, wallSeconds), low(singles, cpuSeconds), low(singles, peakMiB),
		low(batches, wallSeconds), low(batches, cpuSeconds), low(batches, peakMiB), ratio, batchGoal))
}

// sameRoots fails unless both ways made the same images.
func sameRoots(t *testing.T, single, together string) {
	t.Helper()
	type built struct{ Name, Architecture, SHA256 string }
	var one, all []built
	for d := json.NewDecoder(strings.NewReader(single)); d.More(); {
		var b built
		if err := d.Decode(&b); err != nil {
			t.Fatal(err)
		}
		one = append(one, b)
	}
	if err := json.Unmarshal([]byte(together), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 2*batchNames || !slices.Equal(one, all) {
		t.Fatalf("one call makes\n%v\nand many make\n%v", all, one)
	}
}
