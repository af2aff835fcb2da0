package device_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/device"
	"inlay/internal/hint"
)

// sparse is 3 MiB and a bit, of which the second MiB is zero.
func sparse() []byte {
	content := bytes.Repeat([]byte("what was verified is what is used. "), 100_000)[:3<<20+77]
	clear(content[1<<20 : 2<<20])
	return content
}

func TestSealed(t *testing.T) {
	t.Parallel()
	content := sparse()
	folder := t.TempDir()
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, c := range []struct {
		name    string
		options device.SealOptions
		size    int64
		memory  bool
	}{
		{"by default", device.SealOptions{Name: "image"}, int64(len(content)), true},
		{"the most", device.SealOptions{Memory: int64(len(content)), Folder: root}, int64(len(content)), true},
		{"too large", device.SealOptions{Memory: int64(len(content)) - 1, Folder: root}, int64(len(content)), false},
		{"never in memory", device.SealOptions{Memory: -1, Folder: root}, int64(len(content)), false},
		{"a part", device.SealOptions{Name: strings.Repeat("long", 100)}, 5000, true},
		{"nothing", device.SealOptions{}, 0, true},
		{"nothing in memory", device.SealOptions{Memory: -1, Folder: root}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := device.Sealed(t.Context(), bytes.NewReader(content), c.size, c.options)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := io.ReadAll(f)
			if err != nil || !bytes.Equal(got, content[:c.size]) {
				t.Errorf("%d bytes, %v: another content", len(got), err)
			}
			var stat unix.Stat_t
			if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
				t.Fatal(err)
			}
			if stat.Nlink != 0 || stat.Blocks*512 > max(0, c.size-1<<20)+64<<10 && c.size > 1<<20 {
				t.Errorf("%d names, %d bytes on disk for %d", stat.Nlink, stat.Blocks*512, c.size)
			}
			if _, err := f.WriteAt([]byte("x"), 0); err == nil {
				t.Error("it can be written to")
			}
			checkSealed(t, f, c.memory)
		})
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

// checkSealed checks that no way of writing to f is left: in memory whatever
// root does, else as long as nobody opens it anew.
func checkSealed(t *testing.T, f *os.File, memory bool) {
	t.Helper()
	if !memory {
		for _, fd := range writable(t, f) {
			t.Errorf("descriptor %s can write to it", fd)
		}
		return
	}
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR, 0)
	if err != nil {
		return // not even that
	}
	defer again.Close()
	if _, err := again.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("writing: %v", err)
	}
	for _, size := range []int64{0, 1, 1 << 30} {
		info, err := again.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Truncate(size); !errors.Is(err, unix.EPERM) && size != info.Size() {
			t.Errorf("truncating to %d: %v", size, err)
		}
	}
	if mapped, err := unix.Mmap(int(again.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("it can be mapped for writing", unix.Munmap(mapped))
	}
	if err := unix.Fallocate(int(again.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096); !errors.Is(err, unix.EPERM) {
		t.Errorf("punching a hole: %v", err)
	}
	if _, err := unix.FcntlInt(again.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE); !errors.Is(err, unix.EPERM) {
		t.Errorf("its seals can be changed: %v", err)
	}
}

// writable returns the descriptors of this process that can write to f's file.
func writable(t *testing.T, f *os.File) []string {
	t.Helper()
	want, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range paths {
		got, err := os.Stat(path)
		if err != nil || !os.SameFile(want, got) {
			continue
		}
		info, err := os.ReadFile(strings.Replace(path, "/fd/", "/fdinfo/", 1))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(info)) {
			if flags, ok := strings.CutPrefix(line, "flags:"); ok && strings.ContainsAny(strings.TrimSpace(flags)[7:], "12") {
				found = append(found, path)
			}
		}
	}
	return found
}

func TestSealedRefuses(t *testing.T) {
	t.Parallel()
	content := sparse()
	t.Run("too large", func(t *testing.T) {
		t.Parallel()
		_, err := device.Sealed(t.Context(), bytes.NewReader(content), 101, device.SealOptions{Memory: 100})
		if !errors.Is(err, device.ErrTooLarge) || len(hint.Of(err)) != 1 {
			t.Errorf("error %v, hints %q", err, hint.Of(err))
		}
	})
	t.Run("negative", func(t *testing.T) {
		t.Parallel()
		if _, err := device.Sealed(t.Context(), bytes.NewReader(content), -1, device.SealOptions{}); err == nil {
			t.Error("it is copied")
		}
	})
	t.Run("short", func(t *testing.T) {
		t.Parallel()
		_, err := device.Sealed(t.Context(), bytes.NewReader(content), int64(len(content))+1, device.SealOptions{})
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := device.Sealed(ctx, bytes.NewReader(content), 100, device.SealOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

// TestSealedLoop makes devices of copies of either kind, and changes what they
// were made of.
func TestSealedLoop(t *testing.T) {
	t.Parallel()
	loops(t)
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	for _, c := range []struct {
		name    string
		options device.SealOptions
		direct  bool
	}{
		{"memory", device.SealOptions{Name: "image"}, false},
		{"file", device.SealOptions{Memory: -1, Folder: root}, false},
		{"memory, read directly", device.SealOptions{Name: "image"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			content := sparse()
			sealed, err := device.Sealed(t.Context(), bytes.NewReader(content), int64(len(content)), c.options)
			if err != nil {
				t.Fatal(err)
			}
			want := bytes.Clone(content[4096 : 4096+2<<20])
			clear(content) // too late
			l, err := device.Attach(t.Context(), sealed, device.LoopOptions{Offset: 4096, Size: 2 << 20, DirectIO: c.direct})
			sealed.Close()
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			got, err := io.ReadAll(io.NewSectionReader(l.File(), 0, 1<<30))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, %v: another content", len(got), err)
			}
		})
	}
}
