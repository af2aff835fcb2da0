package inspect

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"inlay/internal/content"
)

// Manifest writes the files of the extension at path to w in the format of
// mtree(5), line by line as systemd-dissect --mtree does: type, permissions,
// owner, size, digest, and what links and devices lead to. What cannot be read
// is an error, after the lines of what could.
func Manifest(ctx context.Context, path string, w io.Writer) error {
	x, err := content.OpenExtension(path)
	if err != nil {
		return err
	}
	defer x.Close()
	tree, err := filesOf(x, path)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	err = tree.Walk(ctx, func(f *content.File) error {
		line, err := manifestLine(ctx, f)
		if err != nil {
			return err
		}
		_, err = out.WriteString(line)
		return err
	})
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	if err != nil {
		return fmt.Errorf("reading the files of %q: %w", path, advise(err))
	}
	return nil
}

func manifestLine(ctx context.Context, f *content.File) (string, error) {
	name := "."
	if f.Path != "." {
		name = "./" + escape(f.Path)
	}
	if f.Type() == content.TypeFolder {
		name += "/"
	}
	line := name + " type=" + manifestType(f)
	if f.Type() != content.TypeLink {
		line += fmt.Sprintf(" mode=%04o", f.Mode&0o777)
	}
	line += fmt.Sprintf(" uid=%d gid=%d", f.UID, f.GID)
	switch {
	case f.Type() == content.TypeRegular:
		line += fmt.Sprintf(" size=%d", f.Size)
		if f.Size > 0 {
			sum, err := f.Digest(ctx)
			if err != nil {
				return "", err
			}
			line += fmt.Sprintf(" sha256sum=%x", sum)
		}
	case f.Type() == content.TypeLink:
		line += " link=" + escape(f.Target)
	case f.Device():
		line += fmt.Sprintf(" device=linux,%d,%d", f.Major, f.Minor)
	}
	return line + "\n", nil
}

func manifestType(f *content.File) string {
	return map[uint32]string{
		content.TypeFolder: "dir", content.TypeRegular: "file", content.TypeLink: "link", content.TypeChar: "char",
		content.TypeBlock: "block", content.TypeFIFO: "fifo", content.TypeSocket: "socket",
	}[f.Type()]
}

// escape writes what mtree(5) would take for something else as \xHH.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`\#;*?[`, c) >= 0 {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
