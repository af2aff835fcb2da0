package device_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/ddi"
	"inlay/internal/device"
	"inlay/internal/hint"
	"inlay/test/need"
	"inlay/test/sample"
)

// loops skips or fails a test where there are no loop devices.
func loops(t testing.TB) {
	t.Helper()
	need.Root(t)
	if err := device.HaveLoop(); err != nil {
		t.Fatal(err)
	}
}

// randomFile returns an open file of the test's own, for reading only, and what
// is in it.
func randomFile(t testing.TB, size int) (*os.File, []byte) {
	t.Helper()
	content := make([]byte, size)
	if _, err := rand.NewChaCha8([32]byte{byte(size)}).Read(content); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, path), content
}

func open(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// behind returns how many loop devices of the machine, on which others work too,
// are backed by a file below folder.
func behind(t testing.TB, folder string) int {
	t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(text), folder+"/") {
			count++
		}
	}
	return count
}

// nothingLeft waits until no loop device has a file of folder: whoever is told
// of a new device (udev) may have it open for a moment longer.
func nothingLeft(t testing.TB, folder string) {
	t.Helper()
	for range 100 {
		if behind(t, folder) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%d loop devices are left", behind(t, folder))
}

func TestAttach(t *testing.T) {
	t.Parallel()
	loops(t)
	root, err := os.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() }) // after the parallel ones
	const size = 1<<20 + 4096 + 100    // no whole sector
	for _, c := range []struct {
		name     string
		options  device.LoopOptions
		from, to int64
	}{
		{name: "all", from: 0, to: 1<<20 + 4096},
		{name: "part", options: device.LoopOptions{Offset: 4096, Size: 1 << 19}, from: 4096, to: 4096 + 1<<19},
		{name: "odd part", options: device.LoopOptions{Offset: 512, Size: 3 * 512}, from: 512, to: 2048},
		{name: "to the end", options: device.LoopOptions{Offset: 1 << 20}, from: 1 << 20, to: 1<<20 + 4096},
		{name: "large sectors", options: device.LoopOptions{Offset: 512, Size: 8192, SectorSize: 4096}, from: 512, to: 512 + 8192},
		{name: "middling sectors", options: device.LoopOptions{Size: 8192, SectorSize: 2048}, from: 0, to: 8192},
		{name: "direct", options: device.LoopOptions{Offset: 4096, Size: 8192, SectorSize: 4096, DirectIO: true}, from: 4096, to: 4096 + 8192},
		{name: "direct and odd", options: device.LoopOptions{Offset: 512, Size: 1024, DirectIO: true}, from: 512, to: 1536},
		{name: "name", options: device.LoopOptions{Name: strings.Repeat("a long name ", 20)}, from: 0, to: 1<<20 + 4096},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, content := randomFile(t, size)
			l, err := device.Attach(t.Context(), f, c.options)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			f.Close() // the kernel keeps it
			got, err := io.ReadAll(io.NewSectionReader(l.File(), 0, 1<<30))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, content[c.from:c.to]) || l.Size != c.to-c.from {
				t.Errorf("the device is not the bytes from %d to %d", c.from, c.to)
			}
			b, err := device.BackingOf(root, l.Number)
			if err != nil {
				t.Fatal(err)
			}
			want := &device.Backing{
				File: f.Name(), Offset: c.options.Offset, Size: c.options.Size, Autoclear: true, ReadOnly: true,
				DirectIO: l.DirectIO, SectorSize: max(512, int(c.options.SectorSize)),
			}
			if l.DirectIO {
				want.SectorSize = b.SectorSize // the disk's, if that has larger ones
			}
			if diff := cmp.Diff(want, b); diff != "" {
				t.Errorf("sysfs (-want +got):\n%s", diff)
			}
			if !c.options.DirectIO && l.DirectIO {
				t.Error("it reads directly, unasked")
			}
			info, err := unix.IoctlLoopGetStatus64(int(l.File().Fd()))
			if err != nil {
				t.Fatal(err)
			}
			name := c.options.Name
			if name == "" {
				name = "file"
			}
			if got := unix.ByteSliceToString(info.File_name[:]); got != name[:min(len(name), 63)] {
				t.Errorf("it is called %q", got)
			}
			if info.Flags&unix.LO_FLAGS_PARTSCAN != 0 {
				t.Error("it is scanned for partitions")
			}
			if again, err := os.OpenFile(l.Path(), os.O_RDWR, 0); err == nil {
				if _, err := again.WriteAt(make([]byte, 512), 0); !errors.Is(err, unix.EPERM) {
					t.Errorf("writing: %v", err)
				}
				again.Close()
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			nothingLeft(t, filepath.Dir(f.Name()))
		})
	}
}

// TestAttachOpened shows that the file that is open counts, not its name; and
// that it may be a block device.
func TestAttachOpened(t *testing.T) {
	t.Parallel()
	loops(t)
	f, content := randomFile(t, 8192)
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Name(), make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := device.Attach(t.Context(), f, device.LoopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := device.Attach(t.Context(), first.File(), device.LoopOptions{Offset: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	got, err := io.ReadAll(io.NewSectionReader(second.File(), 0, 1<<20))
	if err != nil || !bytes.Equal(got, content[4096:]) {
		t.Errorf("read %d bytes, %v; they are not what was open", len(got), err)
	}
}

func TestAttachRefuses(t *testing.T) {
	t.Parallel()
	loops(t)
	folder := t.TempDir()
	file := func(name string, size int) *os.File {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		return open(t, path)
	}
	f := file("file", 8192)
	closed := file("closed", 8192)
	closed.Close()
	for _, c := range []struct {
		name    string
		file    *os.File
		options device.LoopOptions
		want    string
	}{
		{"offset", f, device.LoopOptions{Offset: 100}, "no sectors"},
		{"size", f, device.LoopOptions{Size: 100}, "no sectors"},
		{"negative", f, device.LoopOptions{Offset: -512}, "no sectors"},
		{"overflow", f, device.LoopOptions{Offset: 1<<63 - 512}, "no sectors"},
		{"sector", f, device.LoopOptions{SectorSize: 1000}, "power of two"},
		{"small sector", f, device.LoopOptions{SectorSize: 256}, "power of two"},
		{"large sector", f, device.LoopOptions{SectorSize: 8192}, "power of two"},
		{"part of a sector", f, device.LoopOptions{Size: 512, SectorSize: 4096}, "no sectors of 4096"},
		{"beyond the end", f, device.LoopOptions{Offset: 4096, Size: 8192}, "the file has 4096 of the 8192 bytes"},
		{"far beyond the end", f, device.LoopOptions{Offset: 1 << 40, Size: 512}, "the file has 0 of the 512 bytes"},
		{"at the end", f, device.LoopOptions{Offset: 8192}, "the file has 0"},
		{"empty", file("empty", 0), device.LoopOptions{}, "the file has 0"},
		{"less than a sector", file("less", 511), device.LoopOptions{}, "the file has 0"},
		{"folder", open(t, folder), device.LoopOptions{}, "setting up loop"},
		{"closed", closed, device.LoopOptions{}, "use of closed file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := device.Attach(t.Context(), c.file, c.options)
			if err == nil {
				l.Close()
				t.Fatal("it is attached")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q", err, c.want)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := device.Attach(ctx, f, device.LoopOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	t.Cleanup(func() { nothingLeft(t, folder) }) // after the parallel ones
}

// TestAttachCrowd has twenty goroutines attach, read and detach over and over.
func TestAttachCrowd(t *testing.T) {
	t.Parallel()
	loops(t)
	folder := t.TempDir()
	var group sync.WaitGroup
	for i := range 20 {
		path := filepath.Join(folder, fmt.Sprint("file", i))
		content := bytes.Repeat([]byte{byte(i + 1)}, 4096)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		f := open(t, path)
		group.Go(func() {
			for range 5 {
				l, err := device.Attach(t.Context(), f, device.LoopOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				got := make([]byte, 4096)
				if _, err := l.File().ReadAt(got, 0); err != nil || !bytes.Equal(got, content) {
					t.Errorf("%s: another file is behind it (%v)", l.Path(), err)
				}
				l.Close()
			}
		})
	}
	group.Wait()
	nothingLeft(t, folder)
}

// inNamespace runs f in a mount namespace of its own, on a thread that ends with
// it. Files that f opens by path are looked up there as long as it does so itself.
func inNamespace(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			t.Errorf("a mount namespace: %v", err)
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

// TestMountPartition mounts a partition of an image, and uses it when only the
// mount keeps the device. Where /dev has no nodes the kernel's own are taken.
func TestMountPartition(t *testing.T) {
	t.Parallel()
	loops(t)
	need.FileSystem(t, "erofs")
	image := sample.Make(t, sample.Image{Name: "hello"})
	for _, c := range []struct {
		name, path string
		prepare    func() error
	}{
		{"nodes", "/dev/loop", func() error { return nil }},
		{"no nodes", "/proc/self/fd/", func() error { return unix.Mount("tmpfs", "/dev", "tmpfs", 0, "") }},
		{"other nodes", "/proc/self/fd/", func() error {
			if err := unix.Mount("tmpfs", "/dev", "tmpfs", 0, ""); err != nil {
				return err
			}
			for i := range 200 {
				if err := os.WriteFile(fmt.Sprint("/dev/loop", i), nil, 0o600); err != nil {
					return err
				}
			}
			return unix.Mknod("/dev/loop-control", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3)))
		}},
		{"nodes that are barred", "", func() error { return unix.Mount("", "/dev", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_NODEV, "") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, image)
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			im, err := ddi.Open(f, info.Size())
			if err != nil {
				t.Fatal(err)
			}
			target := t.TempDir()
			inNamespace(t, func() {
				if err := c.prepare(); err != nil {
					t.Error(err)
					return
				}
				l, err := device.Attach(t.Context(), f, device.LoopOptions{
					Offset: im.Table.Offset(im.Data), Size: im.Table.Length(im.Data),
				})
				if c.path == "" {
					if !errors.Is(err, device.ErrNoLoop) || len(hint.Of(err)) != 1 {
						t.Errorf("error %v, hints %q", err, hint.Of(err))
					}
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				if !strings.HasPrefix(l.Path(), c.path) {
					t.Errorf("its path is %q", l.Path())
				}
				err = unix.Mount(l.Path(), target, "erofs", unix.MS_RDONLY, "")
				l.Close()
				if err != nil {
					t.Error("mounting it:", err)
					return
				}
				text, err := os.ReadFile(filepath.Join(target, "usr/bin/hello"))
				if err != nil || !strings.Contains(string(text), "echo hello") {
					t.Errorf("the file is %q, %v", text, err)
				}
			})
		})
	}
	t.Cleanup(func() { nothingLeft(t, filepath.Dir(image)) })
}

// TestPrivateNodes opens the control node on either kind of private file system.
func TestPrivateNodes(t *testing.T) {
	t.Parallel()
	loops(t)
	for _, fsType := range []string{"devtmpfs", "tmpfs"} {
		fd, err := device.OpenPrivate(fsType)
		if err != nil {
			t.Errorf("%s: %v", fsType, err)
			continue
		}
		if number, err := unix.IoctlRetInt(fd, unix.LOOP_CTL_GET_FREE); err != nil || number < 0 {
			t.Errorf("%s: free is %d, %v", fsType, number, err)
		}
		unix.Close(fd)
	}
}

// TestNotAllowed takes capabilities away, as containers do.
func TestNotAllowed(t *testing.T) {
	t.Parallel()
	loops(t)
	inNamespace(t, func() {
		if err := unix.Mount("tmpfs", "/dev", "tmpfs", 0, ""); err != nil {
			t.Error(err)
			return
		}
		var none [2]unix.CapUserData
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
			t.Error(err)
			return
		}
		for _, c := range []struct {
			err, want error
		}{{device.HaveLoop(), device.ErrNoLoop}, {device.HaveMapper(), device.ErrNoMapper}} {
			if advice := hint.Of(c.err); !errors.Is(c.err, c.want) || len(advice) != 1 || !strings.Contains(advice[0], "root") {
				t.Errorf("error %v, advice %q", c.err, advice)
			}
		}
	})
}

// TestBackingOfPart adds a partition as systemd does (BLKPG).
func TestBackingOfPart(t *testing.T) {
	t.Parallel()
	loops(t)
	root, err := os.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f, _ := randomFile(t, 1<<20)
	l, err := device.Attach(t.Context(), f, device.LoopOptions{Offset: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	change := func(operation int32) {
		part := unix.BlkpgPartition{Start: 8192, Length: 16384, Pno: 3}
		request := unix.BlkpgIoctlArg{Op: operation, Datalen: int32(unsafe.Sizeof(part)), Data: (*byte)(unsafe.Pointer(&part))}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, l.File().Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&request)))
		if errno != 0 {
			t.Error(errno)
		}
	}
	change(unix.BLKPG_ADD_PARTITION)
	defer change(unix.BLKPG_DEL_PARTITION) // it would outlive the file behind it
	var stat unix.Stat_t
	if err := unix.Stat(l.Path()+"p3", &stat); err != nil {
		t.Fatal(err)
	}
	got, err := device.BackingOf(root, device.NumberOf(stat.Rdev))
	want := &device.Backing{File: f.Name(), Offset: 4096 + 8192, Size: 16384, Autoclear: true, ReadOnly: true, SectorSize: 512}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestBackingOf(t *testing.T) {
	t.Parallel()
	number := device.Number{Major: 7, Minor: 3}
	for _, c := range []struct {
		name   string
		change func(map[string]string)
		want   string
	}{
		{name: "good", change: func(map[string]string) {}},
		{name: "not in use", change: func(m map[string]string) { delete(m, "loop/backing_file") }, want: "no such file"},
		{name: "no number", change: func(m map[string]string) { m["loop/offset"] = "12x\n" }, want: `loop/offset says "12x"`},
		{name: "negative", change: func(m map[string]string) { m["loop/sizelimit"] = "-1\n" }, want: `loop/sizelimit says "-1"`},
		{name: "no flag", change: func(m map[string]string) { m["ro"] = "2\n" }, want: `ro says "2"`},
		{name: "long", change: func(m map[string]string) { m["loop/backing_file"] = strings.Repeat("x", 5000) }, want: "more than 4096 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{
				"loop/backing_file": "/a b\n", "loop/offset": "512\n", "loop/sizelimit": "1024\n", "loop/autoclear": "1\n",
				"loop/dio": "0\n", "ro": "1\n", "queue/logical_block_size": "512\n",
			}
			c.change(files)
			folder := t.TempDir()
			for name, text := range files {
				path := filepath.Join(folder, "sys/dev/block/7:3", name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			root, err := os.OpenRoot(folder)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			got, err := device.BackingOf(root, number)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				return
			}
			want := &device.Backing{File: "/a b", Offset: 512, Size: 1024, Autoclear: true, ReadOnly: true, SectorSize: 512}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}
