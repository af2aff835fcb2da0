package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"inlay/internal/hint"
)

// saved is one image in the manifest.json of a docker-archive.
type saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// dockerArchive opens what "docker save" writes: manifest.json names the
// configuration and the layers, lowest first. It returns no image and no error
// if a layer merely holds a file of that name.
func dockerArchive(a *archive) (*Image, error) {
	b, err := readFile(a, "manifest.json")
	if err != nil {
		return nil, err
	}
	var images []saved
	if err := json.Unmarshal(b, &images); err != nil || len(images) == 0 {
		if a.has("oci-layout") || a.has("repositories") {
			return nil, errors.New("reading manifest.json: it lists no images")
		}
		return nil, nil
	}
	if len(images) > 1 {
		return nil, hint.Wrap(fmt.Errorf("the archive holds %d images: %s", len(images), savedNames(images)),
			"save the one that you want into an archive of its own")
	}
	return savedImage(a, images[0])
}

func savedNames(images []saved) string {
	var names []string
	for _, im := range images[:min(len(images), 8)] {
		if len(im.RepoTags) == 0 {
			names = append(names, "one without a name")
			continue
		}
		names = append(names, printable(im.RepoTags[0]))
	}
	return strings.Join(names, ", ")
}

// savedImage makes an image of members of a docker-archive.
func savedImage(a *archive, s saved) (*Image, error) {
	if len(s.Layers) > maxLayers {
		return nil, fmt.Errorf("the image has %d layers, more than %d", len(s.Layers), maxLayers)
	}
	if len(s.Layers) == 0 {
		return nil, hint.Wrap(errors.New("the image has no layers"), "build it with at least one COPY, ADD or RUN")
	}
	raw, err := readFile(a, s.Config)
	if err != nil {
		return nil, fmt.Errorf("reading the image's configuration: %w", err)
	}
	got := digestOf(raw)
	if want, ok := digestInName(s.Config); ok && want != got {
		return nil, &MismatchError{What: "the image's configuration", Want: want, Got: got}
	}
	c, err := parseConfig(raw, len(s.Layers))
	if err != nil {
		return nil, err
	}
	im := &Image{Origin: "docker-archive", Digest: got, OS: c.OS, Architecture: c.Architecture, Created: c.created()}
	commands := c.commands()
	for i, name := range s.Layers {
		m, err := a.find(cleanMember(name))
		if err != nil {
			return nil, fmt.Errorf("looking for layer %d: %w", i+1, err)
		}
		l := &Layer{DiffID: c.RootFS.DiffIDs[i], Size: m.size, CreatedBy: commands[i]}
		// Only an OCI blob's name is the digest of what is stored under it.
		if d, ok := digestInName(name); ok && strings.HasPrefix(name, "blobs/") {
			l.Digest = d
		}
		l.blob = &blob{size: m.size, digest: l.Digest, diffID: l.DiffID, open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(a.r, m.offset, m.size)), nil
		}}
		im.Layers = append(im.Layers, l)
	}
	return im, nil
}

// digestInName finds the digest that a member is named after: HEX.json,
// HEX.tar, sha256:HEX or blobs/sha256/HEX.
func digestInName(name string) (Digest, bool) {
	name = strings.TrimPrefix(name, "blobs/sha256/")
	name = strings.TrimPrefix(name, digestPrefix)
	name, _, _ = strings.Cut(name, ".")
	d, err := ParseDigest(digestPrefix + name)
	return d, err == nil
}
