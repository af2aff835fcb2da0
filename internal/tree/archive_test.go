package tree_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/tree"
)

type readTar func(context.Context, io.Reader, func(*tree.Entry, io.Reader) error) error

// told is all that a reader of an archive says, one line an entry, the error
// last. Every third file stays unread, and one is read in part.
func told(t *testing.T, read readTar, archive io.Reader) []string {
	t.Helper()
	var all []string
	n := 0
	err := read(t.Context(), archive, func(e *tree.Entry, r io.Reader) error {
		if n++; n > 200 {
			return errors.New("enough")
		}
		line := fmt.Sprintf("%q %v %o %d:%d %d.%09d %d %d:%d %q %q %q", e.Name, e.Kind, e.Mode, e.UID, e.GID, e.Sec, e.Nsec, e.Size, e.Major, e.Minor, e.Target, e.Link, e.Xattrs)
		if r != nil && n%3 != 0 {
			h := sha256.New()
			size, err := io.Copy(h, io.LimitReader(r, min(e.Size, 1<<16)-int64(n%2)))
			line += fmt.Sprintf(" %d %x %v", size, h.Sum(nil)[:4], err)
		}
		all = append(all, line)
		return nil
	})
	return append(all, fmt.Sprint(err))
}

// sameAsOthers holds ReadTar to archive/tar, in whatever pieces the archive comes.
func sameAsOthers(t *testing.T, archive []byte) {
	t.Helper()
	for name, open := range map[string]func() io.Reader{
		"whole":     func() io.Reader { return bytes.NewReader(archive) },
		"in pieces": func() io.Reader { return iotest.HalfReader(bytes.NewReader(archive)) },
		// Who reads up to the end sees it at once.
		"the end with the last bytes": func() io.Reader { return iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(archive))) },
	} {
		if diff := cmp.Diff(told(t, tree.ReadTarByOthers, open()), told(t, tree.ReadTar, open())); diff != "" {
			t.Errorf("%s (-archive/tar +ReadTar):\n%s", name, diff)
		}
	}
}

// summed puts the right checksum into every block that looks like a header.
func summed(archive []byte) []byte {
	archive = slices.Clone(archive)
	for block := range slices.Chunk(archive, 512) {
		if len(block) < 512 || string(block[257:262]) != "ustar" {
			continue
		}
		copy(block[148:156], "        ")
		sum := 0
		for _, c := range block {
			sum += int(c)
		}
		copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	}
	return archive
}

// odd are archives that are read partly or wholly by archive/tar, or by nobody.
func odd(t testing.TB) map[string][]byte {
	file := func(fields map[int]string) []byte {
		f := map[int]string{0: "file", 100: "0000644\x00", 108: "0000000\x00", 116: "0000000\x00", 124: "00000000005\x00", 136: "14000000000\x00", 156: "0", 257: "ustar\x0000"}
		maps.Copy(f, fields)
		return append(summed(raw(f)), append([]byte("hello"), make([]byte, 507)...)...)
	}
	pax := func(records string) []byte { return ended(paxed(records, "file")) }
	return map[string][]byte{
		"nothing":                 {},
		"a file":                  ended(file(nil)),
		"no end":                  file(nil),
		"one block of end":        append(file(nil), make([]byte, 512)...),
		"half an end":             append(file(nil), make([]byte, 700)...),
		"something between ends":  append(append(file(nil), make([]byte, 512)...), file(nil)...),
		"rubbish behind":          append(ended(file(nil)), "rubbish"...),
		"half a header":           file(nil)[:300],
		"half a file":             file(nil)[:514],
		"no padding":              file(nil)[:517],
		"half a padding":          file(nil)[:700],
		"second header cut":       append(file(nil), file(nil)[:511]...),
		"spaces before numbers":   ended(file(map[int]string{100: "   644 \x00", 124: "          5 "})),
		"no terminator":           ended(file(map[int]string{100: "00000644", 124: "000000000005"})),
		"bytes behind a number":   ended(file(map[int]string{100: "644\x00755\x00"})),
		"no number":               ended(file(map[int]string{100: "rw-r--r-"})),
		"empty numbers":           ended(file(map[int]string{100: "\x00\x00\x00\x00\x00\x00\x00\x00", 108: "        "})),
		"wrong device number":     ended(file(map[int]string{329: "none"})),
		"binary size":             ended(file(map[int]string{124: "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05"})),
		"prefix":                  ended(file(map[int]string{345: "a/long/way"})),
		"name without NUL":        ended(file(map[int]string{0: strings.Repeat("n", 100), 345: strings.Repeat("p", 155)})),
		"gnu":                     ended(file(map[int]string{257: "ustar  \x00"})),
		"gnu with times":          ended(file(map[int]string{257: "ustar  \x00", 345: "14000000000\x00"})),
		"star":                    ended(file(map[int]string{345: "way", 508: "tar\x00"})),
		"another version":         ended(file(map[int]string{263: "  "})),
		"another magic":           ended(file(map[int]string{257: "posix"})),
		"old file":                ended(file(map[int]string{156: "\x00"})),
		"old folder":              ended(file(map[int]string{0: "folder/", 156: "\x00", 124: "00000000000\x00"})),
		"type 7":                  ended(file(map[int]string{156: "7"})),
		"type Z":                  ended(file(map[int]string{156: "Z"})),
		"link with a size":        append(ended(file(map[int]string{156: "1", 157: "other"})[:512]), make([]byte, 512)...),
		"folder with a size":      append(ended(file(map[int]string{156: "5"})[:512]), make([]byte, 512)...),
		"empty name":              ended(file(map[int]string{0: "\x00"})),
		"records":                 pax("14 path=other\n11 uid=500\n20 mtime=12345.6789\n"),
		"none":                    pax(""),
		"empty value":             pax("8 path=\n"),
		"twice":                   pax("10 path=a\n10 path=b\n"),
		"taken back":              pax("10 path=a\n8 path=\n"),
		"size":                    pax("10 size=0\n"),
		"negative size":           pax("11 size=-1\n"),
		"long number":             pax("29 uid=00000000000000000001\n"),
		"no digits":               pax("path=a\n"),
		"too long":                pax("99 path=a\n"),
		"no newline":              pax("10 path=ab"),
		"no equals":               pax("7 path\n"),
		"no key":                  pax("5 =a\n"),
		"NUL in a path":           pax("12 path=a\x00b\n"),
		"NUL in a user":           pax("13 uname=a\x00b\n"),
		"NUL in a key":            pax("9 a\x00b=cd\n"),
		"NUL in a value":          pax("24 SCHILY.xattr.user.a=\x00\n"),
		"time before 1970":        pax("13 mtime=-1.5\n"),
		"long time":               pax("23 mtime=1.1234567891\n"),
		"time of letters":         pax("12 mtime=1.x\n"),
		"time without seconds":    pax("12 mtime=.5\n"),
		"other times":             pax("11 atime=1\n11 ctime=2\n"),
		"other times, wrong":      pax("11 atime=x\n"),
		"attributes":              pax("25 SCHILY.xattr.user.a=b\n23 SCHILY.xattr.user.c=\n28 LIBARCHIVE.xattr.user.d=AA\n"),
		"two extended headers":    append(paxed("10 path=a\n", "x")[:1024], pax("11 uid=500\n")...),
		"header of one that ends": ended(paxed("10 path=a\n", "x")[:1024]),
		"header cut":              paxed("10 path=a\n", "x")[:600],
		"gnu long name":           headers(t, &tar.Header{Name: strings.Repeat("long/", 60) + "end", Typeflag: tar.TypeReg, Format: tar.FormatGNU}, &tar.Header{Name: "b", Typeflag: tar.TypeReg}),
		"global header":           headers(t, &tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}, &tar.Header{Name: "b", Typeflag: tar.TypeReg}),
		"devices":                 headers(t, &tar.Header{Name: "c", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}, &tar.Header{Name: "f", Typeflag: tar.TypeFifo}, &tar.Header{Name: "b", Typeflag: tar.TypeBlock, Devmajor: 8}),
		"many":                    pack(t, "dir usr/", "file usr/a x", "file usr/b "+strings.Repeat("y", 600), "file usr/c z", "link usr/d -> usr/a", "sym lib -> usr", "file e "+strings.Repeat("w", 512), "file f v"),
	}
}

func TestSameAsOthers(t *testing.T) {
	t.Parallel()
	for name, archive := range odd(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sameAsOthers(t, archive)
		})
	}
}

// FuzzSameAsOthers holds ReadTar to archive/tar on anything. Checksums are set
// right first: a fuzzer does not find them.
func FuzzSameAsOthers(f *testing.F) {
	for _, archive := range odd(f) {
		f.Add(archive)
	}
	f.Fuzz(func(t *testing.T, archive []byte) { sameAsOthers(t, summed(archive)) })
}
