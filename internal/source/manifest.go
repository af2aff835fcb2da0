package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"inlay/internal/hint"
)

const (
	// maxManifest bounds manifests, indexes and configurations: 4 MiB is what
	// registries take, and real ones have some kilobytes.
	maxManifest = 4 << 20
	// maxLayers bounds the layers of an image. Overlay mounts end at a few
	// hundred, Docker at 127.
	maxLayers = 1024
	// maxManifests bounds the images that one index may list.
	maxManifests = 1024
)

// descriptor points to content: a manifest, a configuration or a layer.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      Digest            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    *platform         `json:"platform"`
	Annotations map[string]string `json:"annotations"`
}

// manifest is an image manifest or an index, of OCI or of Docker: the same
// JSON text could claim to be either, so both are read into one and told apart
// afterwards.
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	ArtifactType  string       `json:"artifactType"`
	Config        *descriptor  `json:"config"`
	Layers        []descriptor `json:"layers"`
	Manifests     []descriptor `json:"manifests"`
}

// checkImage refuses what has the form of an image but is stored for another
// purpose.
func (m *manifest) checkImage() error {
	if isConfigType(m.Config.MediaType) {
		return nil
	}
	return hint.Wrap(fmt.Errorf("this is an artifact of type %q, not a container image", clip(m.Config.MediaType)),
		"name a container image")
}

// isIndex tells a list of images from an image.
func (m *manifest) isIndex() bool { return m.Config == nil }

// parseManifest reads a manifest whose media type was announced as mediaType
// ("" if it was not). What could be read in two ways is refused: one registry
// must not mean an index where another tool sees an image.
func parseManifest(b []byte, mediaType string) (*manifest, error) {
	if len(b) > maxManifest {
		return nil, fmt.Errorf("the manifest has more than %d bytes", maxManifest)
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("the manifest is not valid JSON: %w", err)
	}
	if m.SchemaVersion == 1 {
		return nil, hint.Wrap(errors.New("the manifest has the outdated schema version 1"),
			"push the image again with a current tool")
	}
	if m.SchemaVersion != 2 {
		return nil, fmt.Errorf("the manifest has schema version %d, not 2", m.SchemaVersion)
	}
	mediaType, _, _ = strings.Cut(mediaType, ";")
	if known := manifestTypes(); m.MediaType != "" && slices.Contains(known, mediaType) && m.MediaType != mediaType {
		return nil, fmt.Errorf("the manifest calls itself %q but was announced as %q", clip(m.MediaType), mediaType)
	}
	switch {
	case m.Config != nil && m.Manifests != nil, m.Layers != nil && m.Manifests != nil:
		return nil, errors.New("the manifest claims to be both an image and an index")
	case m.Config == nil && m.Manifests == nil:
		return nil, errors.New("the manifest is neither an image nor an index")
	case len(m.Manifests) > maxManifests:
		return nil, fmt.Errorf("the index lists %d images, more than %d", len(m.Manifests), maxManifests)
	case len(m.Layers) > maxLayers:
		return nil, fmt.Errorf("the image has %d layers, more than %d", len(m.Layers), maxLayers)
	}
	return &m, m.check()
}

func (m *manifest) check() error {
	all := slices.Concat(m.Layers, m.Manifests)
	if m.Config != nil {
		all = append(all, *m.Config)
		if m.Config.Size > maxManifest {
			return fmt.Errorf("the image's configuration has %d bytes, more than %d", m.Config.Size, maxManifest)
		}
	}
	for _, d := range all {
		if _, err := ParseDigest(string(d.Digest)); err != nil {
			return fmt.Errorf("reading the manifest: %w", err)
		}
		if d.Size < 0 {
			return fmt.Errorf("reading the manifest: %s has the size %d", d.Digest.Short(), d.Size)
		}
	}
	return nil
}

const (
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
)

func manifestTypes() []string { return []string{ociIndex, ociManifest, dockerList, dockerManifest} }

func isConfigType(t string) bool {
	return t == "application/vnd.oci.image.config.v1+json" || t == "application/vnd.docker.container.image.v1+json"
}

// checkLayerType refuses what is not a tar that the image brings itself.
func checkLayerType(t string) error {
	switch t {
	case "application/vnd.oci.image.layer.v1.tar",
		"application/vnd.oci.image.layer.v1.tar+gzip",
		"application/vnd.oci.image.layer.v1.tar+zstd",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.docker.image.rootfs.diff.tar.zstd":
		return nil
	}
	if strings.Contains(t, "nondistributable") || strings.Contains(t, "foreign") {
		return hint.Wrap(fmt.Errorf("its media type %q says that the image does not carry it", clip(t)),
			"choose other layers, or build the image without the foreign layer")
	}
	return hint.Wrap(fmt.Errorf("its media type %q is not one of a file-system layer", clip(t)),
		"name a container image whose layers are tar archives, plain or packed with gzip or zstd")
}

// config is what inlay needs of an image's configuration.
type config struct {
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Created      string    `json:"created"`
	RootFS       rootFS    `json:"rootfs"`
	History      []history `json:"history"`
}

type rootFS struct {
	DiffIDs []Digest `json:"diff_ids"`
}

type history struct {
	CreatedBy  string `json:"created_by"`
	EmptyLayer bool   `json:"empty_layer"`
}

func parseConfig(b []byte, layers int) (*config, error) {
	if len(b) > maxManifest {
		return nil, fmt.Errorf("the image's configuration has more than %d bytes", maxManifest)
	}
	var c config
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("the image's configuration is not valid JSON: %w", err)
	}
	if len(c.RootFS.DiffIDs) != layers {
		return nil, fmt.Errorf("the image's configuration knows %d layers, its manifest %d", len(c.RootFS.DiffIDs), layers)
	}
	for _, d := range c.RootFS.DiffIDs {
		if _, err := ParseDigest(string(d)); err != nil {
			return nil, fmt.Errorf("reading the image's configuration: %w", err)
		}
	}
	return &c, nil
}

// created returns the time that the configuration states, or zero.
func (c *config) created() time.Time {
	t, err := time.Parse(time.RFC3339Nano, c.Created)
	if err != nil {
		return time.Time{} // many builders write nothing, or year one
	}
	return t.UTC()
}

// commands returns what made each layer, lowest first, or nothing if the
// history does not match the layers.
func (c *config) commands() []string {
	var made []string
	for _, h := range c.History {
		if !h.EmptyLayer {
			made = append(made, printable(h.CreatedBy))
		}
	}
	if len(made) != len(c.RootFS.DiffIDs) {
		return make([]string, len(c.RootFS.DiffIDs))
	}
	return made
}

// printable makes text from an image fit for a terminal: one line, no control
// characters, not endless.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	s = strings.TrimPrefix(strings.Join(strings.Fields(s), " "), "/bin/sh -c #(nop) ")
	return clip(strings.TrimSpace(s))
}
