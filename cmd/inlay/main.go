// Inlay sets signed, read-only extension images into immutable Linux systems.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"inlay/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From here a second signal ends the program as if nobody listened.
	context.AfterFunc(ctx, stop)
	code := cli.Main(ctx, os.Args, cli.System())
	stop()
	os.Exit(code)
}
