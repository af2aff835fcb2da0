package source

import (
	"context"
	"io"
	"net"
	"time"

	"inlay/internal/transfer"
)

// Impatient makes a registry client give up soon.
func (o Options) Impatient(stall time.Duration, tries int) Options {
	o.patience = transfer.Patience{Stall: stall, Tries: tries, Backoff: time.Millisecond}
	return o
}

// Dialing makes a registry client find every host at address.
func (o Options) Dialing(address string) Options {
	o.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return o
}

// Failing makes a registry client find no host, for the reason err.
func (o Options) Failing(err error) Options {
	o.dial = func(context.Context, string, string) (net.Conn, error) { return nil, err }
	return o
}

// DetectArchive opens an uncompressed archive of an image in memory.
func DetectArchive(ctx context.Context, r io.ReaderAt, size int64) (*Image, error) {
	return plainArchive(ctx, r, size, Options{Architecture: "amd64"})
}
