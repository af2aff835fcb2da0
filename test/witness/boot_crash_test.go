package witness_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/extension"
	"inlay/test/sample"
)

// left is a machine that was booted from an EFI system partition on which an
// installer has left extensions.
func left(t *testing.T, esp map[string]string) string {
	t.Helper()
	const id = "aaaaaaaa-2222-4333-8444-555555555555"
	dir := t.TempDir()
	sample.Disk(t, dir, "vda", 253, sample.Partition{Type: sample.ESP, ID: id, Mounted: "/efi", FileSystem: "vfat"})
	sample.StartedFrom(t, dir, id)
	files := map[string]string{"proc/cmdline": "COS_ACTIVE", "etc/os-release": "ID=kairos\n", "efi/EFI/kairos/active.efi": "kernel", "run/here": ""}
	for name, text := range esp {
		files["efi/EFI/kairos/"+name] = text
	}
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// bootStep runs the boot step, which dies before the change to the disk that at
// numbers; 0 is never.
func bootStep(t *testing.T, dir string, at int) (killed bool) {
	t.Helper()
	program, err := crashing()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "boot", "--root", dir, "--system", dir)
	cmd.Env = append(os.Environ(), "INLAY_CRASH_AT="+strconv.Itoa(at))
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("%v\n%s", err, out)
	}
	return err != nil
}

// lies tells what lies in a machine's stores, run folders and partition: of files their
// size, of links what they lead to.
func lies(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, folder := range []string{"efi", "var", "run/extensions", "run/confexts"} {
		err := filepath.WalkDir(filepath.Join(dir, folder), func(at string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, at)
			if err != nil || slices.Contains([]string{"lock", "spare"}, d.Name()) || strings.HasSuffix(name, ".json") {
				return err
			}
			if all[name], err = os.Readlink(at); err == nil {
				return nil
			}
			text, err := os.ReadFile(at)
			all[name] = fmt.Sprintf("%d bytes", len(text))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestTakeInKilled kills the boot step before each change that it makes to the store:
// whatever was taken from the partition is in the store, whole, and the next boot
// ends as one that nobody has disturbed.
func TestTakeInKilled(t *testing.T) {
	t.Parallel()
	read := func(im sample.Image) string {
		image, err := os.ReadFile(sample.Make(t, im))
		if err != nil {
			t.Fatal(err)
		}
		return string(image)
	}
	tool, conf := read(sample.Image{Name: "tool"}), read(sample.Image{Name: "conf", Kind: extension.Confext()})
	esp := map[string]string{
		"active.efi.extra.d/tool.sysext.raw": tool, "passive.efi.extra.d/tool.sysext.raw": tool,
		"active.efi.extra.d/conf.confext.raw": conf, "active.efi.extra.d/other.addon.efi": "addon",
	}
	undisturbed := left(t, esp)
	bootStep(t, undisturbed, 0)
	want := lies(t, undisturbed)
	if len(want) != 9 || want["efi/EFI/kairos/active.efi.extra.d/other.addon.efi"] == "" {
		t.Fatalf("an undisturbed boot leaves %v", want)
	}
	for at := 1; ; at++ {
		dir := left(t, esp)
		killed := bootStep(t, dir, at)
		now := lies(t, dir)
		for name, text := range esp {
			if _, there := now["efi/EFI/kairos/"+name]; there || !strings.HasSuffix(name, ".raw") {
				continue
			}
			kind, _ := extension.KindOfFile(name)
			profile, _, _ := strings.Cut(name, ".")
			in := filepath.Join(kind.Store, filepath.Base(name))
			link := filepath.Join(kind.Store, profile, filepath.Base(name))
			if now[in] != fmt.Sprintf("%d bytes", len(text)) || now[link] == "" {
				t.Errorf("killed before change %d: %s is gone from the partition, and the store has %q, link %q", at, name, now[in], now[link])
			}
		}
		bootStep(t, dir, 0)
		if diff := cmp.Diff(want, lies(t, dir)); diff != "" {
			t.Errorf("killed before change %d: the next boot ends otherwise (-want +got):\n%s", at, diff)
		}
		if !killed {
			t.Logf("%d changes", at-1)
			if at < 20 {
				t.Errorf("only %d changes were seen", at-1)
			}
			return
		}
	}
}
