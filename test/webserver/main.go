// Command webserver serves a folder over HTTPS where tests have no other server:
// in a container without a network.
//
//	webserver ADDRESS FOLDER CERTIFICATE KEY
//
// It prints a line on standard output as soon as it listens.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("want ADDRESS FOLDER CERTIFICATE KEY, not %q", args)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Println("listening")
	s := &http.Server{Handler: http.FileServer(http.Dir(args[1])), ReadHeaderTimeout: 10 * time.Second}
	return s.ServeTLS(l, args[2], args[3])
}
