package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

// maxTrustFile bounds a file of certificates or a deny list, in bytes.
const maxTrustFile = 4 << 20

// standardInput says whether name is what people call standard input.
func standardInput(name string) bool { return name == "-" || name == "/dev/stdin" }

// checkInput holds the command line to what standard input can be: it has an
// end only once, and nothing lies beside it.
func (o *verifyOptions) checkInput() error {
	if slices.ContainsFunc(o.trust.denyLists, standardInput) {
		return usagef("name a file: its signature lies beside it, as FILE.p7s", "--deny-list cannot be standard input")
	}
	times := 0
	for _, name := range append(slices.Clone(o.trust.certificates), o.osRelease) {
		if standardInput(name) {
			times++
		}
	}
	if times > 1 {
		return usagef("write one of them to a file", "standard input is named twice")
	}
	return nil
}

// readTrustFile reads a regular file that a flag names, or standard input. It
// never waits for the other end of a FIFO, nor for a device.
func (env *Env) readTrustFile(ctx context.Context, flag, name string) ([]byte, error) {
	if standardInput(name) {
		return env.readInput(ctx)
	}
	// To open a device may do something by itself.
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound(err)
	}
	if err != nil {
		return nil, err
	}
	if err := checkRegular(info, flag, name); err != nil {
		return nil, err
	}
	// By now it may be something else.
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if err := checkRegular(info, flag, name); err != nil {
		return nil, err
	}
	text, err := readTrust(f)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	return text, nil
}

func checkRegular(info fs.FileInfo, flag, name string) error {
	switch {
	case info.Mode().IsRegular():
		return nil
	case info.IsDir():
		return hint.Wrap(fmt.Errorf("reading %q: it is a folder", name), "name a file")
	case flag == "--deny-list":
		return hint.Wrap(fmt.Errorf("reading %q: not a regular file", name), "write it to a file first")
	}
	return hint.Wrap(fmt.Errorf("reading %q: not a regular file", name), "pipe it in: "+flag+" - reads standard input")
}

// readInput reads standard input, until ctx ends. Nothing can take back the read
// itself; it ends with the program.
func (env *Env) readInput(ctx context.Context) ([]byte, error) {
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := readTrust(env.Stdin)
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("reading standard input: %w", r.err)
		}
		return r.text, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func readTrust(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxTrustFile+1))
	if err == nil && len(text) > maxTrustFile {
		err = hint.Wrap(fmt.Errorf("more than %d bytes", maxTrustFile), "name a file of certificates, or of text")
	}
	return text, err
}
