package tree_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/hint"
	"inlay/internal/tree"
)

// headers makes a tar of bare headers; a regular file's content is zeros.
func headers(t testing.TB, list ...*tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range list {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(h.Name, err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(make([]byte, h.Size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// read returns copies of the entries of a tar and the contents of its files.
func read(t testing.TB, data []byte) (entries []tree.Entry, contents []string, err error) {
	t.Helper()
	err = tree.ReadTar(t.Context(), bytes.NewReader(data), func(e *tree.Entry, r io.Reader) error {
		entries = append(entries, *e)
		if (r != nil) != (e.Kind == tree.Regular) {
			t.Errorf("entry %q: a %s comes with reader %v", e.Name, e.Kind, r)
		}
		if r == nil {
			return nil
		}
		b, err := io.ReadAll(r)
		contents = append(contents, string(b))
		return err
	})
	return entries, contents, err
}

// raw makes one ustar header block of these fields, with a right checksum.
func raw(fields map[int]string) []byte {
	b := make([]byte, 512)
	copy(b[100:], "0000644\x000000000\x000000000\x0000000000000\x0000000000000\x00")
	copy(b[257:], "ustar\x0000")
	b[156] = '0'
	for at, s := range fields {
		copy(b[at:], s)
	}
	sum := 8 * int(' ')
	for i, c := range b {
		if i < 148 || i >= 156 {
			sum += int(c)
		}
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// ended adds the end of the archive.
func ended(b []byte) []byte {
	return append(b, make([]byte, 1024)...)
}

// paxed makes a file under name with these PAX records before it.
func paxed(records, name string) []byte {
	head := raw(map[int]string{0: "pax", 124: fmt.Sprintf("%011o\x00", len(records)), 156: "x"})
	body := make([]byte, 512)
	copy(body, records)
	return append(append(head, body...), raw(map[int]string{0: name})...)
}

func TestReadTar(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long-name/", 40) + "end"
	at := func(sec int64, nsec int64) time.Time { return time.Unix(sec, nsec) }
	capability := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, c := range []struct {
		name string
		data []byte
		want []tree.Entry
	}{
		{"nothing", nil, nil},
		{"the end only", make([]byte, 1024), nil},
		{"no end marker", raw(map[int]string{0: "a"}), []tree.Entry{{Name: "a", Kind: tree.Regular, Mode: 0o644}}},
		{"leading slashes and dots, hard link targets too", headers(
			t,
			&tar.Header{Name: "/usr/a", Typeflag: tar.TypeReg},
			&tar.Header{Name: "././/usr/b", Typeflag: tar.TypeReg},
			&tar.Header{Name: "usr/c", Typeflag: tar.TypeLink, Linkname: "/usr/a"},
			&tar.Header{Name: "./usr/d", Typeflag: tar.TypeLink, Linkname: "./usr/./a"},
		), []tree.Entry{
			{Name: "usr/a", Kind: tree.Regular},
			{Name: "usr/b", Kind: tree.Regular},
			{Name: "usr/c", Kind: tree.HardLink, Link: "usr/a"},
			{Name: "usr/d", Kind: tree.HardLink, Link: "usr/a"},
		}},
		{
			"the root", headers(t, &tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o711}, &tar.Header{Name: "/", Typeflag: tar.TypeDir}, &tar.Header{Name: ".", Typeflag: tar.TypeDir}),
			[]tree.Entry{{Kind: tree.Directory, Mode: 0o711}, {Kind: tree.Directory}, {Kind: tree.Directory}},
		},
		{"dots inside and slashes at the end", headers(t, &tar.Header{Name: "a/./b/.//", Typeflag: tar.TypeDir}), []tree.Entry{{Name: "a/b", Kind: tree.Directory}}},
		{"names that only look bad", headers(t, &tar.Header{Name: "..a/b../...", Typeflag: tar.TypeDir}), []tree.Entry{{Name: "..a/b../...", Kind: tree.Directory}}},
		{"symbolic links as they are", headers(
			t,
			&tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/./x/../../../etc//passwd", Mode: 0o777},
		), []tree.Entry{{Name: "a", Kind: tree.Symlink, Mode: 0o777, Target: "/./x/../../../etc//passwd"}}},
		{"setuid, setgid, sticky, and no type bits", headers(
			t,
			&tar.Header{Name: "a", Typeflag: tar.TypeReg, Mode: 0o107755, Uid: 12, Gid: 34},
		), []tree.Entry{{Name: "a", Kind: tree.Regular, Mode: 0o7755, UID: 12, GID: 34}}},
		{"devices and fifos", headers(
			t,
			&tar.Header{Name: "c", Typeflag: tar.TypeChar, Devmajor: 4095, Devminor: 1048575},
			&tar.Header{Name: "b", Typeflag: tar.TypeBlock, Devmajor: 8, Devminor: 1},
			&tar.Header{Name: "f", Typeflag: tar.TypeFifo},
		), []tree.Entry{
			{Name: "c", Kind: tree.Char, Major: 4095, Minor: 1048575},
			{Name: "b", Kind: tree.Block, Major: 8, Minor: 1},
			{Name: "f", Kind: tree.Fifo},
		}},
		{"PAX long name, link, nanoseconds and ids", headers(
			t,
			&tar.Header{Name: long, Typeflag: tar.TypeReg, Size: 3, Format: tar.FormatPAX, ModTime: at(1700000000, 123456789), Uid: 1 << 31, Gid: 1<<32 - 2},
			&tar.Header{Name: "s", Typeflag: tar.TypeSymlink, Linkname: long, Format: tar.FormatPAX, ModTime: at(-5, 500000000)},
			&tar.Header{Name: "l", Typeflag: tar.TypeLink, Linkname: long, Format: tar.FormatPAX},
		), []tree.Entry{
			{Name: long, Kind: tree.Regular, Size: 3, Sec: 1700000000, Nsec: 123456789, UID: 1 << 31, GID: 1<<32 - 2},
			{Name: "s", Kind: tree.Symlink, Target: long, Sec: -5, Nsec: 500000000},
			{Name: "l", Kind: tree.HardLink, Link: long},
		}},
		{"GNU long name, link and base-256 ids", headers(
			t,
			&tar.Header{Name: long, Typeflag: tar.TypeReg, Format: tar.FormatGNU, Uid: 1 << 31, Gid: 1<<32 - 2, ModTime: at(1<<34, 0)},
			&tar.Header{Name: "s", Typeflag: tar.TypeSymlink, Linkname: long, Format: tar.FormatGNU},
		), []tree.Entry{
			{Name: long, Kind: tree.Regular, UID: 1 << 31, GID: 1<<32 - 2, Sec: 1 << 34},
			{Name: "s", Kind: tree.Symlink, Target: long},
		}},
		{"extended attributes, sorted, with any bytes", headers(
			t,
			&tar.Header{Name: "a", Typeflag: tar.TypeReg, PAXRecords: map[string]string{
				"SCHILY.xattr.user.z": "1\n2=3\x00", "SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.empty": "", "comment": "no",
			}},
		), []tree.Entry{{Name: "a", Kind: tree.Regular, Xattrs: []tree.Xattr{
			{"security.capability", []byte(capability)}, {"user.empty", []byte{}}, {"user.z", []byte("1\n2=3\x00")},
		}}}},
		{"libarchive's extended attributes", headers(
			t,
			&tar.Header{Name: "a", Typeflag: tar.TypeReg, PAXRecords: map[string]string{
				"LIBARCHIVE.xattr.user.a%20b%3D": "AAEC/w", "LIBARCHIVE.xattr.user.both": "AA==", "SCHILY.xattr.user.both": "raw",
			}},
		), []tree.Entry{{Name: "a", Kind: tree.Regular, Xattrs: []tree.Xattr{
			{"user.a b=", []byte{0, 1, 2, 255}}, {"user.both", []byte("raw")},
		}}}},
		{"global headers say nothing of files", headers(
			t,
			&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "x", "path": "../evil"}},
			&tar.Header{Name: "a", Typeflag: tar.TypeReg},
		), []tree.Entry{{Name: "a", Kind: tree.Regular}}},
		{"whiteouts", headers(
			t,
			&tar.Header{Name: "a/.wh.b", Typeflag: tar.TypeReg, Size: 4},
			&tar.Header{Name: ".wh.c", Typeflag: tar.TypeDir},
			&tar.Header{Name: "./a/.wh..wh..opq", Typeflag: tar.TypeReg},
			&tar.Header{Name: ".wh..wh..opq", Typeflag: tar.TypeReg},
			&tar.Header{Name: ".wh..wh.plnk/x", Typeflag: tar.TypeReg},
			&tar.Header{Name: "a/.wh..wh.aufs", Typeflag: tar.TypeReg},
			&tar.Header{Name: "a.wh.b/x.wh.", Typeflag: tar.TypeReg},
		), []tree.Entry{
			{Name: "a/b", Kind: tree.Whiteout},
			{Name: "c", Kind: tree.Whiteout},
			{Name: "a", Kind: tree.Opaque},
			{Kind: tree.Opaque},
			{Name: "a.wh.b/x.wh.", Kind: tree.Regular},
		}},
		{"V7: a folder by its slash", ended(raw(map[int]string{0: "d/", 156: "\x00", 257: "\x00\x00\x00\x00\x00\x00\x00\x00"})), []tree.Entry{{Name: "d", Kind: tree.Directory, Mode: 0o644}}},
		{"contiguous files are files", ended(raw(map[int]string{0: "c", 156: "7"})), []tree.Entry{{Name: "c", Kind: tree.Regular, Mode: 0o644}}},
		{"names of the longest length", headers(t, &tar.Header{Name: strings.Repeat("x", 255), Typeflag: tar.TypeDir}), []tree.Entry{{Name: strings.Repeat("x", 255), Kind: tree.Directory}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, _, err := read(t, c.data)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if got[i].Sec == zeroTime {
					got[i].Sec = 0 // what archive/tar writes for no time
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

var zeroTime = time.Time{}.Unix()

func TestReadTarRefuses(t *testing.T) {
	t.Parallel()
	file := func(name string) []byte { return headers(t, &tar.Header{Name: name, Typeflag: tar.TypeReg}) }
	xattr := func(records map[string]string) []byte {
		return headers(t, &tar.Header{Name: "the-file", Typeflag: tar.TypeReg, PAXRecords: records})
	}
	big := map[string]string{}
	for i := range 5 {
		big[fmt.Sprintf("SCHILY.xattr.user.%d", i)] = strings.Repeat("x", 60<<10)
	}
	whole := headers(t, &tar.Header{Name: "first", Typeflag: tar.TypeReg, Size: 5000}, &tar.Header{Name: "second", Typeflag: tar.TypeReg})
	for _, c := range []struct {
		name   string
		data   []byte
		want   string // in the error
		advice string // in a hint
	}{
		{"parent", file("usr/../../etc/passwd"), `entry "usr/../../etc/passwd": the name has ".." in it`, "make the archive again"},
		{"parent first", file("../x"), `entry "../x"`, "make the archive again"},
		{"parent last", headers(t, &tar.Header{Name: "x/..", Typeflag: tar.TypeDir}), `entry "x/.."`, "make the archive again"},
		{"parent after a slash", file("/../x"), `entry "/../x"`, "make the archive again"},
		{"parent in a hard link", headers(t, &tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "../x"}), `entry "a": hard link to "../x"`, "make the archive again"},
		{"empty component", file("usr//bin/x"), `entry "usr//bin/x": the name has an empty component`, "doubled slashes"},
		{"NUL in a PAX name", ended(paxed("13 path=a\x00b\n", "c")), "reading tar at its beginning", "whole tar archive"},
		{"NUL in a PAX link", ended(paxed("17 linkpath=a\x00b\n", "c")), "reading tar at its beginning", "whole tar archive"},
		{"empty name", ended(raw(map[int]string{})), "the name is empty", ""},
		{"long component", file("d/" + strings.Repeat("x", 256)), "256 bytes long, more than 255", ""},
		{"long name", file(strings.Repeat("dir/", 1024) + "x"), "4097 bytes long, more than 4096", ""},
		{"root as a file", headers(t, &tar.Header{Name: "./.", Typeflag: tar.TypeSymlink, Linkname: "x"}), "the root cannot be a symbolic link", ""},
		{"root as a hard link", headers(t, &tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "./"}), `entry "a": hard link to the root`, ""},
		{"hard link to nothing", headers(t, &tar.Header{Name: "a", Typeflag: tar.TypeLink}), `entry "a"`, ""},
		{"symbolic link to nothing", headers(t, &tar.Header{Name: "a", Typeflag: tar.TypeSymlink}), `entry "a": a symbolic link without a target`, ""},
		{"long target", headers(t, &tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("x", 4096)}), `entry "a": the link's target is 4096 bytes long`, ""},
		{"unknown type", ended(raw(map[int]string{0: "vol", 156: "V"})), `entry "vol": entries of type 'V' are not known`, "plain files"},
		{"GNU dump folder", ended(raw(map[int]string{0: "dump", 156: "D"})), `entry "dump": entries of type 'D' are not known`, "plain files"},
		{"owner out of range", headers(t, &tar.Header{Name: "a", Typeflag: tar.TypeReg, Uid: 1 << 33}), `entry "a": owner 8589934592:0`, ""},
		{"owner -1", headers(t, &tar.Header{Name: "a", Typeflag: tar.TypeReg, Gid: 1<<32 - 1}), `entry "a": owner 0:4294967295`, ""},
		{"user -1", headers(t, &tar.Header{Name: "a", Typeflag: tar.TypeReg, Uid: 1<<32 - 1}), `entry "a": owner 4294967295:0`, ""},
		{"negative owner", headers(t, &tar.Header{Name: "a", Typeflag: tar.TypeReg, Uid: -7, Format: tar.FormatGNU}), `entry "a": owner -7:0`, ""},
		{"device out of range", headers(t, &tar.Header{Name: "a", Typeflag: tar.TypeChar, Devmajor: 4096}), `entry "a": device number 4096:0`, ""},
		{"huge", ended(raw(map[int]string{0: "huge", 124: "\x80\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01"})), `entry "huge": its size of 1099511627777 bytes`, ""},
		{"negative size", ended(raw(map[int]string{0: "neg", 124: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"})), "at its beginning", "whole tar archive"},
		{"whiteout of nothing", file("a/.wh."), `entry "a/.wh.": a whiteout cannot hide ""`, ""},
		{"whiteout of itself", file("a/.wh.."), `entry "a/.wh..": a whiteout cannot hide "."`, ""},
		{"whiteout of its parent", file("a/.wh..."), `entry "a/.wh...": a whiteout cannot hide ".."`, ""},
		{"below a whiteout", file("a/.wh.b/c"), `entry "a/.wh.b/c": it lies below the whiteout "a/.wh.b"`, ""},
		{"below an opaque marker", file("a/.wh..wh..opq/c"), `it lies below the whiteout "a/.wh..wh..opq"`, ""},
		{"xattr without a name", xattr(map[string]string{"SCHILY.xattr.": "x"}), `entry "the-file": extended attribute ""`, ""},
		{"xattr with a long name", xattr(map[string]string{"SCHILY.xattr.user." + strings.Repeat("x", 251): "x"}), `entry "the-file": extended attribute "user.x`, ""},
		{"xattr with a large value", xattr(map[string]string{"SCHILY.xattr.user.x": strings.Repeat("x", 65537)}), `entry "the-file": extended attribute "user.x": 65537 bytes`, ""},
		{"xattrs too large together", xattr(big), `entry "the-file": more than 262144 bytes`, ""},
		{"libarchive xattr that is not base64", xattr(map[string]string{"LIBARCHIVE.xattr.user.x": "*"}), `entry "the-file": extended attribute "user.x"`, ""},
		{"libarchive xattr with a bad name", xattr(map[string]string{"LIBARCHIVE.xattr.user.%zz": "AA"}), `entry "the-file": extended attribute "user.%zz"`, ""},
		{"libarchive xattr with a NUL in the name", xattr(map[string]string{"LIBARCHIVE.xattr.user.%00": "AA"}), `entry "the-file": extended attribute`, ""},
		{"rubbish", bytes.Repeat([]byte("rubbish "), 200), "reading tar at its beginning", "whole tar archive"},
		{"cut in a file", whole[:3000], `at or after entry "first"`, "whole tar archive"},
		{"cut in a header", whole[:512+5120+100], `at or after entry "first"`, "whole tar archive"},
		{"something after the end", append(bytes.Clone(whole), whole...), "something follows the end", "one archive"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := read(t, c.data)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not say %q", err, c.want)
			}
			if len(err.Error()) > 1000 || strings.Contains(err.Error(), "\n") {
				t.Errorf("error of %d bytes is no clear line: %q", len(err.Error()), err)
			}
			if !strings.Contains(strings.Join(hint.Of(err), "; "), c.advice) {
				t.Errorf("hints %q do not say %q", hint.Of(err), c.advice)
			}
		})
	}
}

func TestReadTarSparse(t *testing.T) {
	t.Parallel()
	// GNU's old format: 6 bytes at offset 1000 of a file of 3000.
	h := raw(map[int]string{0: "sparse", 124: "00000000006\x00", 156: "S", 257: "ustar  \x00", 386: "00000001750\x0000000000006\x00", 483: "00000005670\x00"})
	data := ended(append(append(h, "middle"...), make([]byte, 506)...))
	entries, contents, err := read(t, data)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("\x00", 1000) + "middle" + strings.Repeat("\x00", 1994)
	if len(entries) != 1 || entries[0].Size != 3000 || contents[0] != want {
		t.Errorf("got %d entries, first %+v with %d bytes", len(entries), entries[0], len(contents[0]))
	}
}

// repeating is one block, for ever.
type repeating struct {
	block []byte
	at    int
}

func (r *repeating) Read(p []byte) (n int, err error) {
	for n < len(p) {
		m := copy(p[n:], r.block[r.at:])
		n, r.at = n+m, (r.at+m)%len(r.block)
	}
	return n, nil
}

func TestReadTarEnds(t *testing.T) {
	t.Parallel()
	endless := &repeating{block: raw(map[int]string{0: "d", 156: "5"})}
	seen := 0
	err := tree.ReadTarUpTo(t.Context(), endless, 1000, func(*tree.Entry, io.Reader) error { seen++; return nil })
	if err == nil || !strings.Contains(err.Error(), "more than 1000 entries") || seen != 1000 {
		t.Errorf("after %d entries: %v", seen, err)
	}
}

// errDigest stands for what a source finds at the end of a stream.
var errDigest = errors.New("the digest does not match")

type failing struct{ io.Reader }

func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = errDigest
	}
	return n, err
}

func TestReadTarReadsToTheEnd(t *testing.T) {
	t.Parallel()
	data := append(pack(t, "file a x"), make([]byte, 100<<10)...)
	nothing := func(*tree.Entry, io.Reader) error { return nil }
	err := tree.ReadTar(t.Context(), failing{bytes.NewReader(data)}, nothing)
	if !errors.Is(err, errDigest) {
		t.Errorf("got %v, want the reader's own error", err)
	}
}

func TestReadTarStops(t *testing.T) {
	t.Parallel()
	data := pack(t, "file a x", "file b x")
	stop := errors.New("stop")
	seen := 0
	err := tree.ReadTar(t.Context(), bytes.NewReader(data), func(*tree.Entry, io.Reader) error { seen++; return stop })
	if !errors.Is(err, stop) || seen != 1 {
		t.Errorf("after %d entries: %v", seen, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = tree.ReadTar(ctx, bytes.NewReader(data), func(*tree.Entry, io.Reader) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", err)
	}
}
