package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"inlay/internal/hint"
	"inlay/internal/source"
)

// copyPiece is copied before progress is told.
const copyPiece = 32 << 20

// local is a file of this machine, opened once: what its name leads to later
// does not matter.
type local struct {
	file     *os.File
	info     fs.FileInfo
	progress func(done, total int64)
}

func (r Request) openFile(ref Ref, want source.Digest) (*Download, error) {
	name, err := localName(ref.Path)
	if err != nil && r.Name == "" {
		return nil, err
	}
	if r.Checksums {
		sums, err := readSmall(filepath.Join(filepath.Dir(ref.Path), sumsName))
		if err != nil {
			return nil, noSums(err)
		}
		d, err := findSum(sums, name)
		if err != nil {
			return nil, err
		}
		if want, err = agree(d, sumsName, want, "the request"); err != nil {
			return nil, err
		}
	}
	f, info, err := openRegular(ref.Path)
	if err != nil {
		return nil, err
	}
	return &Download{
		FileName: name, Size: info.Size(), Source: ref.String(), Digest: want,
		content: &local{file: f, info: info, progress: r.Progress},
	}, nil
}

// openRegular opens a regular file, by way of links if need be. Nothing else is
// opened, even for a moment: a pipe would wait, and a device might act.
func openRegular(path string) (*os.File, fs.FileInfo, error) {
	seen, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, hint.Wrap(&missing{err}, "check the path: it is taken as it is written, without percent-encoding")
	} else if err != nil {
		return nil, nil, err
	}
	if err := checkRegular(path, seen); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = checkRegular(path, info)
	}
	if err == nil && !os.SameFile(seen, info) {
		err = changed()
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func checkRegular(path string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return hint.Wrap(fmt.Errorf("%q is a folder", path), "name the image's file in it, or make an image of it with inlay build")
	default:
		return hint.Wrap(fmt.Errorf("%q is not a regular file", path), "name the image's file")
	}
}

func changed() error {
	return hint.Wrap(errors.New("the file has changed while it was read"), "try again when nobody writes to it")
}

func (l *local) close() { l.file.Close() }

func (l *local) copyTo(ctx context.Context, dst Destination, _ source.Digest) (Result, error) {
	h := sha256.New()
	size := l.info.Size()
	buf := make([]byte, 1<<20)
	for done := int64(0); done < size; {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		n, err := l.piece(dst, h, done, min(copyPiece, size-done), buf)
		if err != nil {
			return Result{}, err
		}
		done += n
		if l.progress != nil {
			l.progress(done, size)
		}
	}
	info, err := l.file.Stat()
	if err != nil {
		return Result{}, err
	}
	if info.Size() != size || !info.ModTime().Equal(l.info.ModTime()) {
		return Result{}, changed()
	}
	return Result{Digest: source.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), Size: size}, nil
}

// piece copies n bytes from byte off. What is hashed is what was written.
func (l *local) piece(dst Destination, h hash.Hash, off, n int64, buf []byte) (int64, error) {
	got, err := io.CopyBuffer(&writer{dst, h, off}, onlyReader{io.NewSectionReader(l.file, off, n)}, buf)
	if err == nil && got < n {
		err = changed()
	}
	return got, err
}

// onlyReader hides what would make io.CopyBuffer pass over its buffer.
type onlyReader struct{ io.Reader }

// writer writes one piece after the other, and hashes them.
type writer struct {
	dst  Destination
	hash hash.Hash
	off  int64
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.dst.WriteAt(p, w.off)
	w.hash.Write(p[:n])
	w.off += int64(n)
	return n, err
}

func readSmall(path string) ([]byte, error) {
	f, _, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSums+1))
}

func noSums(err error) error {
	if errors.Is(err, ErrNotFound) {
		return hint.Wrap(fmt.Errorf("there is no %s in the same folder", sumsName), "give the digest itself with --digest")
	}
	return fmt.Errorf("reading %s: %w", sumsName, err)
}
