// Command gen writes what can be derived from the tree of commands: the man
// pages in docs/man, the completions in docs/completions and the reference in
// docs/cli. With -check it writes nothing and fails if a file is stale, missing
// or left over. The same commands give the same bytes on every machine and day.
//
// It is a program of its own so that the libraries it needs stay out of inlay.
package main

import (
	"flag"
	"fmt"
	"os"

	"inlay/internal/cli"
)

func main() {
	check := flag.Bool("check", false, "compare instead of writing")
	dir := flag.String("dir", "docs", "the folder to write to")
	flag.Parse()
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	files, err := generate(cli.Command())
	if err != nil {
		return err
	}
	if check {
		return compare(dir, files)
	}
	return write(dir, files)
}
