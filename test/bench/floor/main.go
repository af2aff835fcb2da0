// Command floor does the least that an image with a hash tree can cost: it reads
// a file, hashes its blocks with SHA-256 as dm-verity does, in as many goroutines
// as there are cores, and writes the same bytes through to the disk. It parses
// nothing and makes no tree.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"inlay/internal/verity"
)

// chunk is how many bytes are read, hashed and written at a time. They stay in
// the cache of a core.
const chunk = 64 << 10

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: floor IN OUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	tree := verity.NewTree(verity.Params{})
	var next atomic.Int64
	var all sync.WaitGroup
	failures := make([]error, runtime.GOMAXPROCS(0))
	for i := range failures {
		all.Go(func() { failures[i] = work(in, out, tree, &next) })
	}
	all.Wait()
	return errors.Join(errors.Join(failures...), out.Sync(), out.Close())
}

func work(in io.ReaderAt, out io.WriterAt, tree *verity.Tree, next *atomic.Int64) error {
	b := make([]byte, chunk)
	for {
		at := (next.Add(1) - 1) * chunk
		n, err := in.ReadAt(b, at)
		if n == 0 {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if _, err := out.WriteAt(b[:n], at); err != nil {
			return err
		}
		clear(b[n:])
		blocks := (n + verity.BlockSize - 1) / verity.BlockSize
		tree.HashBlocks(uint64(at/verity.BlockSize), b[:blocks*verity.BlockSize])
	}
}
