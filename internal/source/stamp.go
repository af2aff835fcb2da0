package source

import (
	"context"
	"fmt"
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
//
// Since is the time before which reading began of what the stamp is to stand
// for: a file that may have been changed from then on makes it "". The zero time
// asks for no such thing, which is right for comparing.
func Stamp(ctx context.Context, ref Ref, o Options, since time.Time) (string, error) {
	var stamp string
	var err error
	switch ref.Scheme {
	case Dir:
		stamp, err = stampFolder(ctx, ref.Path, since)
	case File:
		stamp = stampFile(ref.Path, since)
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
