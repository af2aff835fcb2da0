package media_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/hint"
	"inlay/internal/media"
	"inlay/internal/stage"
	"inlay/test/need"
)

// tools are those of this machine, at a fixed time.
func tools(t testing.TB) media.Tools {
	t.Helper()
	for _, name := range []string{"mmd", "mcopy"} {
		need.Tool(t, name, "mtools")
	}
	need.Tool(t, "mkfs.vfat", "dosfstools")
	need.Tool(t, "xorriso", "xorriso")
	return media.Tools{Path: os.Getenv("PATH"), Epoch: time.Unix(1700000000, 0)}
}

// unnamed returns a file without a name, as the program uses.
func unnamed(t testing.TB) *stage.File {
	t.Helper()
	f, err := stage.Create(filepath.Join(t.TempDir(), "it"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Discard)
	return f
}

// pathOf leads to a file that has no name.
func pathOf(f *stage.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }

// zeros is a file that is nowhere.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

func sampleESP() []media.ESPFile {
	return []media.ESPFile{
		media.TextFile("loader/loader.conf", "timeout 5\n"),
		media.TextFile("EFI/BOOT/BOOTX64.EFI", "boot"),
		{Path: "EFI/kairos/norole_install-mode_a.name-that-is-longer-than-thirteen.efi", Data: zeros{}, Size: 5<<20 + 17},
		{Path: "EFI/tools"},
		{Path: "loader/keys/auto/PK.auth", Data: strings.NewReader("key"), Size: 3},
	}
}

// command runs a program that judges, and returns what it says.
func command(t testing.TB, name, pkg string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), need.Tool(t, name, pkg), args...)
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC", "MTOOLSRC=/dev/null")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func digestOf(t testing.TB, f io.ReaderAt, size int64) []byte {
	t.Helper()
	all, err := io.ReadAll(io.NewSectionReader(f, 0, size))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestToolsFullDisk shows that a disk without room is told as such, whichever
// program met it.
func TestToolsFullDisk(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "mkfs.vfat"), "#!/bin/sh\necho 'error in fat_write: No space left on device' >&2\nexit 1\n", 0o755)
	_, err := media.Tools{Path: folder}.ESP(t.Context(), unnamed(t).File, sampleESP(), media.ESPOptions{})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the error is %v", err)
	}
}

func TestESP(t *testing.T) {
	t.Parallel()
	tools := tools(t)
	var images [][]byte
	for range 2 {
		f := unnamed(t)
		r, err := tools.ESP(t.Context(), f.File, sampleESP(), media.ESPOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Clusters < 65525 || r.Clusters > 70000 || r.ClusterSize != 512 || r.Content != 5<<20+17+10+4+3 {
			t.Errorf("it is %+v", r)
		}
		images = append(images, digestOf(t, f, r.Size))
		// FAT counts time in steps of two seconds.
		time.Sleep(2100 * time.Millisecond)
	}
	if !bytes.Equal(images[0], images[1]) {
		t.Error("the same files gave different bytes")
	}
	path := filepath.Join(t.TempDir(), "esp")
	if err := os.WriteFile(path, images[0], 0o600); err != nil {
		t.Fatal(err)
	}
	said := command(t, "fsck.vfat", "dosfstools", "-n", "-v", path)
	if !strings.Contains(said, "32 bit entries") || strings.Contains(said, "free cluster summary wrong") {
		t.Errorf("fsck.vfat says\n%s", said)
	}
	listed := command(t, "mdir", "mtools", "-i", path, "-/", "-b", "::")
	want := []string{
		"::/EFI/", "::/EFI/BOOT/", "::/EFI/BOOT/BOOTX64.EFI", "::/EFI/kairos/",
		"::/EFI/kairos/norole_install-mode_a.name-that-is-longer-than-thirteen.efi", "::/EFI/tools/",
		"::/loader/", "::/loader/keys/", "::/loader/keys/auto/", "::/loader/keys/auto/PK.auth", "::/loader/loader.conf",
	}
	if diff := cmp.Diff(want, sortedLines(listed)); diff != "" {
		t.Errorf("the partition holds (-want +got)\n%s", diff)
	}
	if said := command(t, "mdir", "mtools", "-i", path, "::loader"); !strings.Contains(said, "2023-11-14  22:13") {
		t.Errorf("the time is not the epoch's:\n%s", said)
	}
	if got := command(t, "mtype", "mtools", "-i", path, "::loader/loader.conf"); got != "timeout 5\n" {
		t.Errorf("loader.conf holds %q", got)
	}
}

// TestESPOld shows that times before those of FAT are its first.
func TestESPOld(t *testing.T) {
	t.Parallel()
	tools := tools(t)
	tools.Epoch = time.Unix(0, 0)
	f := unnamed(t)
	if _, err := tools.ESP(t.Context(), f.File, sampleESP(), media.ESPOptions{VolumeID: 0xfeed4711}); err != nil {
		t.Fatal(err)
	}
	said := command(t, "mdir", "mtools", "-i", pathOf(f), "::loader")
	if !strings.Contains(said, "1980-01-01") || !strings.Contains(said, "FEED-4711") {
		t.Errorf("mdir says\n%s", said)
	}
}

// TestESPSizes fills partitions of several sizes to the last cluster.
func TestESPSizes(t *testing.T) {
	t.Parallel()
	tools := tools(t)
	for name, c := range map[string]struct {
		file, size, want, cluster int64
		fails                     string
	}{
		"100 MiB":           {file: 100 << 20, want: 102 << 20, cluster: 1024},
		"300 MiB":           {file: 300 << 20, want: 301 << 20, cluster: 4096},
		"given":             {file: 100 << 20, size: 600 << 20, want: 600 << 20, cluster: 4096},
		"given, too small":  {file: 100 << 20, size: 90 << 20, fails: "an EFI system partition of 90 MiB is too small: it needs 102 MiB for 101 MiB of files"},
		"too small for FAT": {file: 1, size: 20 << 20, fails: "too small: it needs 33 MiB for 1 MiB"},
		"not whole MiB":     {file: 1, size: 40<<20 + 512, fails: "whole MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := unnamed(t)
			files := append(sampleESP()[:1], media.ESPFile{Path: "big", Data: zeros{}, Size: c.file})
			r, err := tools.ESP(t.Context(), f.File, files, media.ESPOptions{Size: c.size})
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("the error is %v, want %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Size != c.want || r.ClusterSize != c.cluster || r.Clusters < 65525 {
				t.Errorf("it is %+v", r)
			}
			command(t, "fsck.vfat", "dosfstools", "-n", pathOf(f))
		})
	}
}

type broken struct{ error }

func (b broken) ReadAt([]byte, int64) (int, error) { return 0, b.error }

func TestESPRefuses(t *testing.T) {
	t.Parallel()
	tools := tools(t)
	fault := errors.New("the disk is broken")
	for name, c := range map[string]struct {
		files []media.ESPFile
		want  string
	}{
		"long file":               {[]media.ESPFile{{Path: "a", Data: zeros{}, Size: 1 << 32}}, `"a" has 4294967296 bytes: FAT takes at most 4 GiB less one byte`},
		"cases":                   {[]media.ESPFile{media.TextFile("EFI/a", ""), media.TextFile("EFI/A", "")}, "same to FAT"},
		"folders":                 {[]media.ESPFile{media.TextFile("EFI/a", ""), media.TextFile("efi/b", "")}, "same to FAT"},
		"both":                    {[]media.ESPFile{media.TextFile("EFI/a", ""), media.TextFile("EFI/a/b", "")}, "same to FAT"},
		"outside":                 {[]media.ESPFile{media.TextFile("../a", "")}, "cannot be a name"},
		"pattern":                 {[]media.ESPFile{media.TextFile("EFI/*", "")}, "cannot be a name"},
		"early end":               {[]media.ESPFile{{Path: "a", Data: strings.NewReader("short"), Size: 1000}}, "unexpected EOF"},
		"early end of a long one": {[]media.ESPFile{{Path: "a", Data: strings.NewReader("short"), Size: 2 << 20}}, "unexpected EOF"},
		"cannot read":             {[]media.ESPFile{{Path: "a", Data: broken{fault}, Size: 2 << 20}}, `copying "a" into the EFI system partition: the disk is broken`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := unnamed(t)
			if _, err := tools.ESP(t.Context(), f.File, c.files, media.ESPOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
		})
	}
}

func TestToolsMissing(t *testing.T) {
	t.Parallel()
	// Folders that only root searches count too, so the name must be made up.
	if err := (media.Tools{Path: "/nowhere:relative"}).Require("mkfs.unheard"); err == nil || err.Error() != "the program mkfs.unheard is not installed" || len(hint.Of(err)) != 1 {
		t.Errorf("the error is %v", err)
	}
	if err := (media.Tools{}).Require("a1", "b2", "c3"); err == nil || err.Error() != "the programs a1, b2 and c3 are not installed" {
		t.Errorf("the error is %v", err)
	}
}

// TestToolsCancelled shows that a program ends with the context.
func TestToolsCancelled(t *testing.T) {
	t.Parallel()
	tools := tools(t)
	ctx, cancel := context.WithCancel(t.Context())
	f := unnamed(t)
	begun := make(chan struct{})
	go func() { <-begun; cancel() }()
	files := []media.ESPFile{{Path: "a", Data: &slow{begun: begun}, Size: 3 << 30}}
	if _, err := tools.ESP(ctx, f.File, files, media.ESPOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

// slow tells when it is read first.
type slow struct {
	zeros
	begun chan struct{}
	told  bool
}

func (s *slow) ReadAt(p []byte, at int64) (int, error) {
	if !s.told {
		s.told = true
		close(s.begun)
	}
	return s.zeros.ReadAt(p, at)
}
