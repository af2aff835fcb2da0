// Command road goes the way of AuroraBoot from a container image to a system
// extension, for the comparison: the same library reads the image, the last layer
// is unpacked by the same rules (folders, files and symbolic links below usr,
// without owners, times or attributes), and systemd-repart is called with the
// same command line. It is written from a description of that behaviour, and does
// less than the original: it makes no check, draws nothing, and leaves its folder
// to be removed by whoever measures. The release file that it writes ends with
// a newline, as inlay's does, so that both images can be held to the same tree.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

type options struct {
	key, certificate, output string
	offline                  bool
}

func main() {
	var o options
	flag.StringVar(&o.key, "private-key", "", "`file` with the key")
	flag.StringVar(&o.certificate, "certificate", "", "`file` with the certificate")
	flag.StringVar(&o.output, "output", ".", "`folder` for the image")
	flag.BoolVar(&o.offline, "offline", false, "have systemd-repart do without loop devices")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: road [FLAGS] NAME daemon:SOCKET|layout:FOLDER")
		os.Exit(2)
	}
	if err := o.run(context.Background(), flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, "road:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context, name, source string) error {
	im, err := open(ctx, source)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "auroraboot-sysext-")
	if err != nil {
		return err
	}
	layers, err := im.Layers()
	if err != nil {
		return err
	}
	if len(layers) == 0 {
		return errors.New("the image has no layers")
	}
	content, err := layers[len(layers)-1].Uncompressed()
	if err != nil {
		return err
	}
	defer content.Close()
	if err := unpack(content, folder); err != nil {
		return err
	}
	release := filepath.Join(folder, "usr/lib/extension-release.d")
	if err := os.MkdirAll(release, 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(release, "extension-release."+name), []byte("ID=_any\nARCHITECTURE=x86-64\n"), 0o777); err != nil {
		return err
	}
	return o.pack(ctx, folder, filepath.Join(o.output, name+".sysext.raw"))
}

// pack calls systemd-repart.
func (o options) pack(ctx context.Context, folder, image string) error {
	args := []string{
		"--make-ddi=sysext", "--image-policy=root=verity+signed+absent:usr=verity+signed+absent",
		"--architecture=x86-64", "--seed=60f29b0d-f685-4878-b529-4ef35c3f1196", "--copy-source=" + folder,
		"--private-key=" + o.key, "--certificate=" + o.certificate,
	}
	if o.offline {
		args = append(args, "--offline=yes")
	}
	c := exec.CommandContext(ctx, "systemd-repart", append(args, image)...)
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("running systemd-repart: %w\n%s", err, text)
	}
	return nil
}

func open(ctx context.Context, source string) (v1.Image, error) {
	kind, where, _ := strings.Cut(source, ":")
	switch kind {
	case "daemon":
		return fromDaemon(ctx, where)
	case "layout":
		index, err := layout.ImageIndexFromPath(where)
		if err != nil {
			return nil, err
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			return nil, err
		}
		if len(manifest.Manifests) != 1 {
			return nil, fmt.Errorf("the layout has %d images", len(manifest.Manifests))
		}
		return index.Image(manifest.Manifests[0].Digest)
	}
	return nil, fmt.Errorf("no source: %q", source)
}

// fromDaemon reads an image as the library's own package for daemons does by
// default: all of it into memory first.
func fromDaemon(ctx context.Context, socket string) (v1.Image, error) {
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	var saved []byte
	return tarball.Image(func() (io.ReadCloser, error) {
		if saved == nil {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://daemon/images/payload/get", nil)
			if err != nil {
				return nil, err
			}
			answer, err := client.Do(request)
			if err != nil {
				return nil, err
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				return nil, fmt.Errorf("the daemon answers %s", answer.Status)
			}
			if saved, err = io.ReadAll(answer.Body); err != nil {
				return nil, err
			}
		}
		return io.NopCloser(bytes.NewReader(saved)), nil
	}, nil)
}

// unpack writes what lies below usr in a layer into folder.
func unpack(layer io.Reader, folder string) error {
	allowed := regexp.MustCompile(`^usr/*|^/usr/*`)
	for r := tar.NewReader(layer); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !allowed.MatchString(h.Name) {
			continue
		}
		if err := unpackOne(r, h, filepath.Join(folder, filepath.Clean("/"+h.Name))); err != nil {
			return fmt.Errorf("unpacking %q: %w", h.Name, err)
		}
	}
}

func unpackOne(r io.Reader, h *tar.Header, name string) error {
	mode := fs.FileMode(h.Mode).Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		if err := os.Mkdir(name, mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	case tar.TypeReg:
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_TRUNC, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Close())
	case tar.TypeSymlink:
		return os.Symlink(h.Linkname, name)
	}
	return fmt.Errorf("unsupported type: %d", h.Typeflag)
}
