// Package source opens container images and folders and hands out their
// layers: a folder, a docker-archive, an OCI archive or a bare layer tar
// (plain, gzip or zstd), an OCI image layout, a Docker or Podman daemon and a
// registry. It implements what it needs of the OCI image and distribution
// specifications 1.1, of the older Docker manifests, of the archive that
// "docker save" writes and of the Docker Engine API.
//
// Every byte is checked against the digests that the image states while it
// streams by; nothing is unpacked, and nothing that is not asked for is
// fetched. The one copy that can happen is a spool: of a compressed image
// archive, and of a daemon's answer that does not say which layer passes.
//
// On purpose it leaves out schema 1 manifests, foreign layers, encrypted
// layers, xz and bzip2, and everything that writes images.
package source

import (
	"context"
	"fmt"
	"net"
	"runtime"

	"inlay/internal/transfer"
)

// Options say how to open a source. The zero value is usable.
type Options struct {
	// Architecture picks from a multi-platform index, in Go's words; "" means
	// this machine's. An image that exists for one platform only is opened
	// whatever it is: the caller compares Image.Architecture.
	Architecture string
	// AuthFile is a file with registry credentials, as docker and podman write
	// it. It is asked before their own files; it must exist and be well formed.
	AuthFile string
	// Insecure allows plain HTTP and certificates that no authority vouches for.
	Insecure bool
	// DockerHost says where the daemon listens: unix://PATH or tcp://HOST:PORT.
	// "" means the environment's DOCKER_HOST, then the usual sockets.
	DockerHost string
	// SpoolDir is where data goes that must be kept for a while, in a file
	// without a name; "" means the system's folder for temporary files.
	SpoolDir string
	// Progress, if set, is told how many stored bytes of the selected layers
	// have been read and how many there are, as far as known (else done). It
	// is called from one goroutine at a time, not always the caller's.
	Progress func(done, total int64)
	// Wanted says which files of a folder must be readable (see tree.Dir); nil
	// means all of them.
	Wanted func(name string) bool

	patience transfer.Patience                                                    // of the registry client; zero means the default
	dial     func(ctx context.Context, network, address string) (net.Conn, error) // nil means the system
}

func (o Options) architecture() string {
	if o.Architecture == "" {
		return runtime.GOARCH
	}
	return o.Architecture
}

// Open opens ref. It reads manifests and configurations, but no layers. The
// image must be closed.
func Open(ctx context.Context, ref Ref, o Options) (*Image, error) {
	im, err := open(ctx, ref, o)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", ref, err)
	}
	im.ref = ref
	im.finish(o)
	return im, nil
}

func open(ctx context.Context, ref Ref, o Options) (*Image, error) {
	switch ref.Scheme {
	case Dir:
		return openDir(ref.Path, o)
	case File:
		return openFile(ctx, ref.Path, o)
	case Layout:
		return openLayout(ctx, ref, o)
	case Daemon:
		return openDaemon(ctx, ref.Image, o)
	case Registry:
		return openRegistry(ctx, ref.Image, o)
	case Any:
		return openAny(ctx, ref.Image, o)
	default:
		return nil, fmt.Errorf("the scheme %q is not known", ref.Scheme)
	}
}

// finish numbers the layers and connects them with the caller.
func (im *Image) finish(o Options) {
	im.progress = &progress{report: o.Progress}
	for i, l := range im.Layers {
		l.number, l.count = i+1, len(im.Layers)
		if l.blob != nil {
			l.blob.name = l.Name()
			l.blob.seen = im.progress.add
		}
	}
}
