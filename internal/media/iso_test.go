package media_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/guid"
	"inlay/internal/media"
	"inlay/internal/stage"
)

func write(t testing.TB, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// overlayFolder makes a folder whose inodes come in the order of names.
func overlayFolder(t testing.TB, names ...string) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range names {
		mode := fs.FileMode(0o600)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o700
		}
		write(t, filepath.Join(folder, name), strings.Repeat(name, 1000), mode)
	}
	if err := os.Symlink("k3s.sysext.raw", filepath.Join(folder, "current")); err != nil {
		t.Fatal(err)
	}
	return folder
}

func named(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "it")
	write(t, path, text, 0o600)
	return path
}

func disk(t testing.TB) guid.GUID {
	t.Helper()
	g, err := guid.Parse("0b8f4f36-96d8-8c4f-9a24-4d8c0c5c3b42")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// makeISO makes one and returns where it can be read.
func makeISO(t testing.TB, overlay string, files []media.ISOFile) (*stage.File, *media.ESPResult) {
	t.Helper()
	tools := tools(t)
	out := unnamed(t)
	esp, err := os.Create(filepath.Join(t.TempDir(), "esp"))
	if err != nil {
		t.Fatal(err)
	}
	defer esp.Close()
	r, err := tools.ESP(t.Context(), esp, sampleESP(), media.ESPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := tools.ISO(t.Context(), out.File, media.ISOOptions{ESP: esp.Name(), Overlay: overlay, Files: files, Disk: disk(t)}); err != nil {
		t.Fatal(err)
	}
	return out, r
}

func awkward() []string {
	return []string{`a b'c"d\e*[x]$(y).txt`, "k3s.sysext.raw", "sub/é — ü.sh", "z.sh", "-dash"}
}

func TestISO(t *testing.T) {
	t.Parallel()
	names := awkward()
	var images [][]byte
	var last *stage.File
	var esp *media.ESPResult
	for i := range 2 {
		order := append([]string(nil), names...)
		if i == 1 {
			order[0], order[3], order[2], order[1] = order[3], order[0], order[1], order[2]
		}
		// The same, written in another order: other inodes.
		overlay := overlayFolder(t, order...)
		files := []media.ISOFile{{Path: "extensions/x.sysext.raw", Source: named(t, "extension")}}
		last, esp = makeISO(t, overlay, files)
		info, err := last.Stat()
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, digestOf(t, last, info.Size()))
	}
	if !bytes.Equal(images[0], images[1]) {
		t.Error("the same content gave different bytes")
	}
	path := filepath.Join(t.TempDir(), "it.iso")
	if err := os.WriteFile(path, images[0], 0o600); err != nil {
		t.Fatal(err)
	}
	report := command(t, "xorriso", "xorriso", "-indev", path, "-report_el_torito", "plain", "-pvd_info")
	for _, want := range []string{
		"El Torito boot img :   1  UEFI  y   none  0x0000  0x00      0 ",
		"Volume Id    : UKI_ISO_INSTALL", "Creation Time: 2023111422132000", "Modif. Time  : 2023111422132000",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("xorriso reports no %q:\n%s", want, report)
		}
	}
	// A disc's firmware takes all up to the end that the volume states.
	if blocks := int(le32(images[0][16*2048+80:])); blocks*2048 < len(images[0])-64<<10 || blocks*2048 > len(images[0]) {
		t.Errorf("the volume states %d of %d bytes", blocks*2048, len(images[0]))
	}
	if said := command(t, "sfdisk", "fdisk", "--verify", path); !strings.Contains(said, "No errors detected") {
		t.Errorf("sfdisk says\n%s", said)
	}
	dump := command(t, "sfdisk", "fdisk", "--dump", path)
	second := regexp.MustCompile(`2 : start= *(\d+), size= *(\d+), type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B`).FindStringSubmatch(dump)
	if second == nil || !strings.Contains(dump, "label-id: 0B8F4F36-96D8-8C4F-9A24-4D8C0C5C3B42") {
		t.Fatalf("the partition table is\n%s", dump)
	}
	start := number(t, second[1]) * 512
	if number(t, second[2])*512 != esp.Size {
		t.Errorf("the partition has %s sectors, want %d bytes", second[2], esp.Size)
	}
	part := filepath.Join(t.TempDir(), "esp")
	if err := os.WriteFile(part, images[0][start:start+esp.Size], 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "fsck.vfat", "dosfstools", "-n", part)
	if got := command(t, "mtype", "mtools", "-i", part, "::EFI/BOOT/BOOTX64.EFI"); got != "boot" {
		t.Errorf("the loader is %q", got)
	}
	// It is a file of the disc too, as systems look for it.
	back := filepath.Join(t.TempDir(), "back")
	command(t, "xorriso", "xorriso", "-osirrox", "on", "-indev", path, "-extract", "/", back)
	if file, err := os.ReadFile(filepath.Join(back, media.BootImage)); err != nil || !bytes.Equal(file, images[0][start:start+esp.Size]) {
		t.Errorf("%s is not the partition (%v)", media.BootImage, err)
	}
	// The content comes back.
	got := map[string]string{}
	err := filepath.WalkDir(back, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == media.BootImage {
			return err
		}
		rel, _ := filepath.Rel(back, p)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(p)
			got[rel] = "-> " + target
			return err
		}
		text, err := os.ReadFile(p)
		got[rel] = info.Mode().String() + " " + string(text[:min(9, len(text))])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"current": "-> k3s.sysext.raw", "extensions/x.sysext.raw": "-r--r--r-- extension"}
	for _, name := range names {
		mode := "-r--r--r-- "
		if strings.HasSuffix(name, ".sh") {
			mode = "-r-xr-xr-x "
		}
		want[name] = mode + strings.Repeat(name, 9)[:9]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the ISO holds (-want +got)\n%s", diff)
	}
	// What a listing shows of the rest.
	listed := command(t, "xorriso", "xorriso", "-indev", path, "-find", "/", "-exec", "lsdl")
	for line := range strings.Lines(listed) {
		if fields := strings.Fields(line); len(fields) > 5 && len(fields[0]) == 10 && (fields[2] != "0" || fields[3] != "0" || !strings.Contains(line, "Nov 14  2023")) {
			t.Errorf("it shows %s", line)
		}
	}
}

func TestISORefuses(t *testing.T) {
	t.Parallel()
	tools := tools(t)
	fifo := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(fifo, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		overlay string
		files   []media.ISOFile
		want    string
	}{
		"twice":      {overlayFolder(t, "extensions/a.raw"), []media.ISOFile{{Path: "extensions/a.raw", Source: named(t, "")}}, `"extensions/a.raw" is to be put on the medium twice`},
		"another":    {overlayFolder(t, media.BootImage), nil, `"efiboot.img" is to be put on the medium twice`},
		"in a file":  {overlayFolder(t, "extensions"), []media.ISOFile{{Path: "extensions/a.raw", Source: named(t, "")}}, `"extensions" in the overlay folder is no folder`},
		"in a link":  {overlayFolder(t), []media.ISOFile{{Path: "current/a.raw", Source: named(t, "")}}, `"current" in the overlay folder is no folder`},
		"outside":    {"", []media.ISOFile{{Path: "../a.raw", Source: named(t, "")}}, `"../a.raw" cannot be a name`},
		"control":    {overlayFolder(t, "a\nb"), nil, `"a\nb" cannot be a name`},
		"fifo":       {fifo, nil, `"pipe" in the overlay is neither a file, a folder nor a symbolic link`},
		"no overlay": {"/nowhere", nil, "opening the overlay"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tools.ISO(t.Context(), unnamed(t).File, media.ISOOptions{ESP: named(t, strings.Repeat("x", 4096)), Overlay: c.overlay, Files: c.files})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
		})
	}
}

// TestISOFails shows a fault that only xorriso sees.
func TestISOFails(t *testing.T) {
	t.Parallel()
	tools := tools(t)
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	err = tools.ISO(t.Context(), full, media.ISOOptions{ESP: named(t, strings.Repeat("x", 4096))})
	if err == nil || !strings.HasPrefix(err.Error(), "writing the ISO") {
		t.Errorf("the error is %v", err)
	}
	t.Log(err)
}
