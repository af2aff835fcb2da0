package source

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

// Stamp returns a text that stays the same as long as ref names the same
// content, found without reading any: the digest that a registry has under the
// name, by one HEAD, or the marks that the system keeps of each file of a
// folder, or of an archive. It is "" where that takes more; Image.Stamp may tell
// then.
//
// Files count as unchanged while their inode, size, mode, owner, and times of
// content and of change are the same. The last of these the kernel sets with
// every change of content or attributes, and nobody else can; a program that
// keeps a file mapped into its memory escapes it.
func Stamp(ctx context.Context, ref Ref, o Options) (string, error) {
	var stamp string
	var err error
	switch ref.Scheme {
	case Dir, File:
		stamp, err = stampFiles(ctx, ref, reading{})
	case Registry:
		stamp, err = stampRegistry(ctx, ref.Image, o)
	default:
	}
	if err != nil {
		return "", fmt.Errorf("opening %q: %w", ref, err)
	}
	return stamp, nil
}

// Stamp returns a text that stays the same as long as the image has the same
// content, by the digest that it was opened by. It is "" for folders and archives.
func (im *Image) Stamp() string { return im.stamp }

// StampRead returns the stamp of what was read of the image since began, which
// was before it was opened. It is asked for when all is read: of a folder or an
// archive it is "" if a file may have been changed since began, or if the name
// leads to another by now.
func (im *Image) StampRead(ctx context.Context, began time.Time) string {
	if im.stamp != "" || im.file == nil {
		return im.stamp
	}
	stamp, err := stampFiles(ctx, im.ref, reading{began, im.file})
	if err != nil {
		return ""
	}
	return stamp
}

// reading is what a stamp vouches for: what was read since then, of the file
// that was opened. The zero value vouches for nothing, and is for comparing.
type reading struct {
	began time.Time
	file  fs.FileInfo
}

func stampFiles(ctx context.Context, ref Ref, of reading) (string, error) {
	if ref.Scheme == Dir {
		return stampFolder(ctx, ref.Path, of)
	}
	return stampFile(ref.Path, of), nil
}

// stampOf is the stamp of what has digest in a place where only digests count.
func stampOf(digest Digest) string {
	if digest == "" {
		return ""
	}
	return "digest " + string(digest)
}

// stampRegistry asks for the digest alone, which costs less than an answer and
// is not counted as a download where those are rationed. A reference by digest
// needs no question.
func stampRegistry(ctx context.Context, image string, o Options) (string, error) {
	ref, err := parseName(image)
	if err != nil {
		return "", err
	}
	if _, ok := ref.(name.Digest); ok {
		return stampOf(Digest(ref.Identifier())), nil
	}
	r, ref, err := openRepository(ctx, image, o)
	if err != nil {
		return "", err
	}
	defer r.client.CloseIdleConnections()
	resp, err := r.ask(ctx, http.MethodHead, "manifests", ref.Identifier(), manifestHeader())
	if err != nil {
		return "", r.explain(err, "reading the manifest")
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		// What is wrong, the request for the manifest will tell.
		return "", nil
	}
	// A registry need not state it.
	digest, _ := ParseDigest(resp.Header.Get("Docker-Content-Digest"))
	return stampOf(digest), nil
}
