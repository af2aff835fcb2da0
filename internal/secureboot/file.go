package secureboot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"inlay/internal/efi"
	"inlay/internal/hint"
)

// readFile reads a file of the size that this package can make use of.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	return readAll(f)
}

// readAll reads at most efi.MaxSize bytes.
func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, efi.MaxSize+1))
	if err != nil {
		return nil, bare(err)
	}
	if len(data) > efi.MaxSize {
		return nil, fmt.Errorf("it is larger than %d KiB", efi.MaxSize>>10)
	}
	return data, nil
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// line returns an error and its advice in one line, for where only text is kept.
func line(err error) string {
	text := strings.Join(append([]string{err.Error()}, hint.Of(err)...), "; ")
	return strings.ReplaceAll(text, "\n", "; ")
}

// bare takes the operation and the path off an error whose message will name the
// file anyway; what it is stays for errors.Is.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
