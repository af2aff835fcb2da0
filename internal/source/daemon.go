package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"inlay/internal/hint"
)

// inspected is what inlay needs of the answer to GET /images/NAME/json.
type inspected struct {
	ID           string `json:"Id"`
	Os           string
	Architecture string
	Created      string
	RootFS       struct{ Layers []Digest }
}

// errNoImage tells that a daemon answered, but does not have the image.
var errNoImage = errors.New("the daemon does not have the image")

// openDaemon asks the daemons that there are, in order, until one has the image.
func openDaemon(ctx context.Context, image string, o Options) (*Image, error) {
	// The name becomes part of a URL's path.
	if _, err := parseName(image); err != nil {
		return nil, err
	}
	list, err := endpoints(o)
	if err != nil {
		return nil, err
	}
	var first error
	for _, e := range list {
		im, err := e.image(ctx, image, o)
		if err == nil {
			return im, nil
		}
		e.client.CloseIdleConnections()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if first == nil || errors.Is(err, errNoImage) && !errors.Is(first, errNoImage) {
			first = err
		}
	}
	return nil, first
}

func (e endpoint) image(ctx context.Context, image string, o Options) (*Image, error) {
	body, err := e.get(ctx, "/images/"+image+"/json")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var about inspected
	b, err := io.ReadAll(io.LimitReader(body, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("asking the daemon about the image: %w", err)
	}
	if len(b) > maxManifest || json.Unmarshal(b, &about) != nil {
		return nil, hint.Wrap(fmt.Errorf("what listens at %s does not answer as a Docker daemon", e.host), "check DOCKER_HOST")
	}
	diffIDs := about.RootFS.Layers
	if len(diffIDs) == 0 {
		return nil, hint.Wrap(errors.New("the image has no layers"), "build it with at least one COPY, ADD or RUN")
	}
	if len(diffIDs) > maxLayers {
		return nil, fmt.Errorf("the image has %d layers, more than %d", len(diffIDs), maxLayers)
	}
	im := &Image{Origin: "daemon at " + e.host, OS: about.Os, Architecture: about.Architecture}
	// Podman leaves out the algorithm.
	if im.Digest, err = ParseDigest(digestPrefix + strings.TrimPrefix(about.ID, digestPrefix)); err != nil {
		return nil, fmt.Errorf("asking the daemon about the image: %w", err)
	}
	im.stamp = stampOf(im.Digest)
	if t, err := time.Parse(time.RFC3339Nano, about.Created); err == nil {
		im.Created = t.UTC()
	}
	// By its digest, so that a tag that moves meanwhile changes nothing.
	x := &export{endpoint: e, name: string(im.Digest), image: im, spoolDir: o.SpoolDir}
	for i, id := range diffIDs {
		if _, err := ParseDigest(string(id)); err != nil {
			return nil, fmt.Errorf("asking the daemon about the image: %w", err)
		}
		im.Layers = append(im.Layers, &Layer{DiffID: id, Size: -1, blob: &blob{
			size: -1, diffID: id,
			open: func(ctx context.Context) (io.ReadCloser, error) { return x.open(ctx, i) },
		}})
	}
	im.below = x.below
	im.closers = append(im.closers, x.close)
	return im, nil
}

// get asks the daemon; anything but 200 is an error in the daemon's own words.
func (e endpoint) get(ctx context.Context, path string) (io.ReadCloser, error) {
	// Without a version in the path the daemon answers as it likes best, and no
	// daemon is too new or too old.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := e.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, e.unreachable(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, hint.Wrap(errNoImage, "pull or build it first, or use oci:REF")
	}
	var said struct{ Message string }
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || json.Unmarshal(b, &said) != nil || said.Message == "" {
		said.Message = http.StatusText(resp.StatusCode)
	}
	return nil, fmt.Errorf("the daemon at %s answers with status %d: %s", e.host, resp.StatusCode, printable(said.Message))
}
