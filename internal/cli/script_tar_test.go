package cli_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"
)

// fixtureTime is when all fixtures were made, unless they say otherwise.
const fixtureTime = 1700000000

// cmdMakeTar is "mktar FILE SPEC": it makes a tar of the entries in the file
// SPEC, compressed as FILE's name ends. A line of SPEC is
//
//	file|dir|symlink|link|char|block|fifo|sparse NAME [KEY=VALUE]...
//
// with the keys mode, uid, gid, mtime, content, size (that many bytes that
// don't compress), target, major, minor, type (the raw type flag) and
// xattr:NAME. Names and values may be quoted as in Go. Nothing is cleaned up.
func cmdMakeTar(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mktar FILE SPEC")
	}
	out, err := tarOf(ts.ReadFile(args[1]))
	ts.Check(err)
	switch name := args[0]; {
	case strings.HasSuffix(name, ".gz"):
		out, err = gzipped(out)
	case strings.HasSuffix(name, ".zst"):
		out, err = zstandard(out)
	}
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out, 0o644))
}

func tarOf(spec string) ([]byte, error) {
	var out bytes.Buffer
	for line := range strings.Lines(spec) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields, err := splitFields(line)
		if err == nil {
			err = appendEntry(&out, fields)
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
	}
	out.Write(make([]byte, 1024))
	return out.Bytes(), nil
}

func appendEntry(out *bytes.Buffer, fields []string) error {
	if len(fields) < 2 {
		return errors.New("want a type and a name")
	}
	h := &tar.Header{Name: fields[1], Mode: 0o644, ModTime: time.Unix(fixtureTime, 0), Format: tar.FormatPAX, PAXRecords: map[string]string{}}
	kinds := map[string]byte{
		"file": tar.TypeReg, "dir": tar.TypeDir, "symlink": tar.TypeSymlink, "link": tar.TypeLink,
		"char": tar.TypeChar, "block": tar.TypeBlock, "fifo": tar.TypeFifo, "sparse": tar.TypeGNUSparse,
	}
	var known bool
	if h.Typeflag, known = kinds[fields[0]]; !known {
		return errors.New("no such type")
	}
	switch h.Typeflag {
	case tar.TypeDir:
		h.Mode = 0o755
	case tar.TypeSymlink:
		h.Mode = 0o777
	}
	var content []byte
	for _, f := range fields[2:] {
		key, value, _ := strings.Cut(f, "=")
		body, err := setField(h, key, value)
		if err != nil {
			return err
		}
		content = append(content, body...)
	}
	if h.Typeflag == tar.TypeGNUSparse {
		appendSparse(out, h.Name, content)
		return nil
	}
	h.Size = int64(len(content))
	w := tar.NewWriter(out)
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	return w.Flush() // not Close: more entries follow
}

// setField sets what KEY=VALUE says, or returns the content that it stands for.
func setField(h *tar.Header, key, value string) ([]byte, error) {
	number, err := strconv.ParseInt(value, 0, 64)
	switch key {
	case "mode":
		h.Mode = number
	case "uid":
		h.Uid = int(number)
	case "gid":
		h.Gid = int(number)
	case "major":
		h.Devmajor = number
	case "minor":
		h.Devminor = number
	case "mtime":
		h.ModTime = time.Unix(number, 0)
	case "size":
		return noise(number), err
	case "content":
		return []byte(value), nil
	case "target":
		h.Linkname = value
		return nil, nil
	case "type":
		h.Typeflag = value[0]
		return nil, nil
	default:
		name, isAttribute := strings.CutPrefix(key, "xattr:")
		if !isAttribute {
			return nil, fmt.Errorf("no such key %q", key)
		}
		h.PAXRecords["SCHILY.xattr."+name] = value
		return nil, nil
	}
	return nil, err
}

// noise returns n bytes that look random and are always the same.
func noise(n int64) []byte {
	b := make([]byte, n)
	// ChaCha8's Read never fails.
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// appendSparse writes a file in GNU tar's old sparse form: content lies at
// 64 KiB, all before it and 64 KiB after it are holes. The library can't.
func appendSparse(out *bytes.Buffer, name string, content []byte) {
	const hole = 64 << 10
	block := make([]byte, 512)
	octal := func(at, width int, n int64) { copy(block[at:], fmt.Sprintf("%0*o", width-1, n)) }
	copy(block, name)
	octal(100, 8, 0o644)
	octal(108, 8, 0)
	octal(116, 8, 0)
	octal(124, 12, int64(len(content)))
	octal(136, 12, fixtureTime)
	block[156] = tar.TypeGNUSparse
	copy(block[257:], "ustar  \x00")
	octal(386, 12, hole)
	octal(398, 12, int64(len(content)))
	octal(483, 12, int64(2*hole+len(content)))
	copy(block[148:156], "        ")
	var sum int64
	for _, c := range block {
		sum += int64(c)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
	out.Write(block)
	out.Write(content)
	out.Write(make([]byte, (512-len(content)%512)%512))
}

// splitFields cuts a line at its spaces; a part in double quotes is unquoted.
func splitFields(line string) ([]string, error) {
	var fields []string
	for line != "" {
		var field strings.Builder
		for line != "" && line[0] != ' ' {
			if line[0] != '"' {
				field.WriteByte(line[0])
				line = line[1:]
				continue
			}
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, err
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			field.WriteString(text)
			line = line[len(quoted):]
		}
		fields = append(fields, field.String())
		line = strings.TrimLeft(line, " ")
	}
	return fields, nil
}

func gzipped(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

func zstandard(b []byte) ([]byte, error) {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		return nil, err
	}
	return w.EncodeAll(b, nil), w.Close()
}
