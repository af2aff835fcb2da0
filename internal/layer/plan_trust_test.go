package layer_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/device"
	"inlay/internal/extension"
	"inlay/internal/keys"
	"inlay/internal/layer"
	"inlay/internal/osrelease"
	"inlay/internal/trust"
	"inlay/internal/verify"
	"inlay/test/need"
	"inlay/test/sample"
)

// image puts an image into a system.
func image(t *testing.T, root *os.Root, place string, im sample.Image) {
	t.Helper()
	im.Name = extension.NameOf(extension.Sysext(), filepath.Base(place))
	if im.Release == nil {
		im.Release = []osrelease.Field{{Key: "ID", Value: "_any"}}
	}
	at := filepath.Join(root.Name(), place)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(sample.Make(t, im))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// spoil flips a byte of a file.
func spoil(t *testing.T, root *os.Root, place string, at int64) {
	t.Helper()
	f, err := root.OpenFile(place, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func anchors(t *testing.T, pair *keys.Pair) *trust.Set {
	t.Helper()
	set, err := trust.Load(trust.Options{Given: []trust.Given{{Origin: "test", PEM: sample.PEM(pair.Certificate)}}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestPlanTrust shows what each policy makes of each protection.
func TestPlanTrust(t *testing.T) {
	t.Parallel()
	ours, theirs := sample.Pair(t, sample.Certificate{Name: "ours"}), sample.Pair(t, sample.Certificate{Name: "theirs"})
	root := system(t, someHost().plus(ext("run/extensions/folder", fits, "usr/x")))
	image(t, root, "run/extensions/signed.raw", sample.Image{Signer: ours})
	image(t, root, "run/extensions/theirs.raw", sample.Image{Signer: theirs})
	image(t, root, "run/extensions/bare.raw", sample.Image{})
	image(t, root, "run/extensions/arm.raw", sample.Image{Arch: "arm64", Signer: ours})
	image(t, root, "run/extensions/flipped.raw", sample.Image{Signer: ours, Files: map[string]string{"usr/bin/x": rand.Text() + strings.Repeat("text", 1<<16)}})
	spoil(t, root, "run/extensions/flipped.raw", 1<<20+20<<12)
	const arm = "ignored its partitions are for arm64 machines, and the host is x86-64"
	const changed = "refused data block"
	all := func(bare, signed, theirs, folder, flipped string) map[string]string {
		return map[string]string{"signed": signed, "theirs": theirs, "bare": bare, "folder": folder, "arm": arm, "flipped": flipped}
	}
	const none = "refused not signed, and the policy wants a signature by a trusted key"
	const stranger = "refused signed by CN="
	const copying = "refused copying it to where nobody can change it, as there is no dm-verity"
	for _, c := range []struct {
		name string
		ask  func(*layer.Request)
		want map[string]string
	}{
		{"signed", func(*layer.Request) {}, all(none, "merge", stranger, "refused a folder can carry no signature, and the policy wants a signature by a trusted key", changed)},
		{"signed, nobody trusted", func(r *layer.Request) { r.Anchors = nil }, map[string]string{
			"signed": stranger, "theirs": stranger, "bare": none, "arm": stranger, "flipped": stranger,
			"folder": "refused a folder can carry no signature, and the policy wants a signature by a trusted key",
		}},
		{"verity", func(r *layer.Request) { r.Policy = policy(t, "verity") }, all("merge", "merge", "merge", "refused the policy", changed)},
		{"any", func(r *layer.Request) { r.Policy = policy(t, "any") }, all("merge", "merge", "merge", "merge", changed)},
		// What passes through dm-verity is checked there.
		{"with device-mapper", func(r *layer.Request) { r.Mapper = true }, all(none, "merge", stranger, "refused a folder can carry no signature, and the policy wants a signature by a trusted key", "merge")},
		{"copied", func(r *layer.Request) { r.Seal = &device.SealOptions{} }, all(none, "merge", stranger, "refused a folder can carry no signature, and the policy wants a signature by a trusted key", changed)},
		{"too large to be copied", func(r *layer.Request) { r.Seal = &device.SealOptions{Memory: -1} }, all(none, copying, stranger, "refused a folder can carry no signature, and the policy wants a signature by a trusted key", copying)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := layer.Request{Root: root, Kind: extension.Sysext(), Architecture: "x86-64", User: os.Getuid(), Anchors: anchors(t, ours)}
			c.ask(&r)
			p, err := plan(t, r)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Items) != len(c.want) {
				t.Fatalf("%d items", len(p.Items))
			}
			for _, i := range p.Items {
				got, want := strings.TrimSpace(string(i.State)+" "+i.Reason), c.want[i.Name]
				if want == "" || !strings.HasPrefix(got, want) || want == "merge" && got != want {
					t.Errorf("%s: %s, want %s", i.Name, got, want)
				}
				if i.State == layer.Merge && i.Volume != nil {
					if i.Volume.Sealed != (r.Seal != nil) || !i.Volume.Protected || i.Volume.Signed != (i.Verdict.Protection == verify.Signed) {
						t.Errorf("%s: %+v", i.Name, i.Volume)
					}
				}
			}
		})
	}
}

// TestPlanExposed refuses under "signed" what others could exchange.
func TestPlanExposed(t *testing.T) {
	t.Parallel()
	need.Root(t)
	ours := sample.Pair(t, sample.Certificate{})
	for _, c := range []struct {
		name, place string
		mode        os.FileMode
	}{
		{"the image", "run/extensions/one.raw", 0o666},
		{"its folder", "run/extensions", 0o777},
		{"a folder above", "run", 0o777},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := system(t, someHost())
			image(t, root, "run/extensions/one.raw", sample.Image{Signer: ours})
			if err := os.Chmod(filepath.Join(root.Name(), c.place), c.mode); err != nil {
				t.Fatal(err)
			}
			for word, want := range map[string]layer.State{"signed": layer.Refused, "verity": layer.Merge} {
				p, err := plan(t, layer.Request{Root: root, Kind: extension.Sysext(), Architecture: "x86-64", Anchors: anchors(t, ours), Policy: policy(t, word)})
				if err != nil {
					t.Fatal(err)
				}
				if i := p.Items[0]; i.State != want || want == layer.Refused && !strings.Contains(i.Reason, "others could exchange it: anybody may write to") {
					t.Errorf("%s: %s: %s", word, i.State, i.Reason)
				}
			}
		})
	}
}

// TestPlanCopies keeps copies in memory only as long as all together fit.
func TestPlanCopies(t *testing.T) {
	t.Parallel()
	root := system(t, someHost())
	for _, name := range []string{"one", "three", "two"} {
		image(t, root, "run/extensions/"+name+".raw", sample.Image{})
	}
	info, err := root.Stat("run/extensions/one.raw")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		seal device.SealOptions
		want int // copies in memory
	}{
		{"two fit", device.SealOptions{Memory: 2*info.Size() + 1, Folder: root}, 2},
		{"none fits", device.SealOptions{Memory: -1, Folder: root}, 0},
		{"there is nowhere else", device.SealOptions{Memory: info.Size()}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := plan(t, layer.Request{Root: root, Kind: extension.Sysext(), Architecture: "x86-64", User: os.Getuid(), Policy: policy(t, "any"), Seal: &c.seal})
			if err != nil {
				t.Fatal(err)
			}
			got := 0
			for _, i := range p.Merged() {
				at, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", i.Volume.File.Fd()))
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(at, "/memfd:") {
					got++
				}
			}
			if got != c.want || len(p.Merged()) != 3 {
				t.Errorf("%d of %d copies are in memory, want %d", got, len(p.Merged()), c.want)
			}
		})
	}
}
