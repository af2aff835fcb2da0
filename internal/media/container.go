package media

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// ContainerOptions say what kind of container image to make.
type ContainerOptions struct {
	// Tag is what the image is called by whoever loads it: "NAME:TAG".
	Tag string
	// Architecture in Go's words.
	Architecture string
	Epoch        time.Time
}

// layerName is the layer's name in the archive; its digest is known too late.
const layerName = "layer.tar"

// Container writes a container image of one layer, as "docker save" does, that
// holds files. The same files give the same bytes.
func Container(ctx context.Context, w io.Writer, files []ESPFile, o ContainerOptions) error {
	l, err := newLayout(files)
	if err != nil {
		return err
	}
	size, err := l.tarSize(o.Epoch)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	// Its length is known before its content.
	if err := archive.WriteHeader(&tar.Header{Name: layerName, Mode: 0o644, Size: size, ModTime: o.Epoch}); err != nil {
		return err
	}
	h := sha256.New()
	if err := l.writeTar(ctx, io.MultiWriter(archive, h), o.Epoch); err != nil {
		return err
	}
	diff := "sha256:" + hex.EncodeToString(h.Sum(nil))
	config, err := json.Marshal(imageConfig{
		Architecture: o.Architecture, OS: "linux", Created: o.Epoch.UTC().Format(time.RFC3339),
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{diff}},
		History: []history{{Created: o.Epoch.UTC().Format(time.RFC3339), CreatedBy: "inlay media iso --output-type container"}},
	})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(config)
	name := hex.EncodeToString(sum[:]) + ".json"
	manifest, err := json.Marshal([]savedImage{{Config: name, RepoTags: []string{o.Tag}, Layers: []string{layerName}}})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		text []byte
	}{{name, config}, {"manifest.json", manifest}} {
		if err := archive.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.text)), ModTime: o.Epoch}); err != nil {
			return err
		}
		if _, err := archive.Write(f.text); err != nil {
			return err
		}
	}
	return archive.Close()
}

// What manifest.json and the configuration of an image hold.
type (
	savedImage struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	imageConfig struct {
		Architecture string    `json:"architecture"`
		OS           string    `json:"os"`
		Created      string    `json:"created"`
		Config       struct{}  `json:"config"`
		RootFS       rootFS    `json:"rootfs"`
		History      []history `json:"history"`
	}
	rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
	history struct {
		Created   string `json:"created"`
		CreatedBy string `json:"created_by"`
	}
)

const tarBlock = 512

// headers are those of the layer, of folders and then of files.
func (l *layout) headers(epoch time.Time) []*tar.Header {
	var all []*tar.Header
	for _, folder := range l.folders {
		all = append(all, &tar.Header{Name: folder + "/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: epoch})
	}
	for _, f := range l.files {
		all = append(all, &tar.Header{Name: f.Path, Typeflag: tar.TypeReg, Mode: 0o644, Size: f.Size, ModTime: epoch})
	}
	return all
}

// tarSize is the length of what writeTar writes.
func (l *layout) tarSize(epoch time.Time) (int64, error) {
	var total counter = 2 * tarBlock
	for _, h := range l.headers(epoch) {
		// Long names take more than one block.
		if err := tar.NewWriter(&total).WriteHeader(h); err != nil {
			return 0, fmt.Errorf("packing %q: %w", h.Name, err)
		}
		total += counter(roundUp(h.Size, tarBlock))
	}
	return int64(total), nil
}

// counter counts bytes.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// writeTar writes the layer.
func (l *layout) writeTar(ctx context.Context, w io.Writer, epoch time.Time) error {
	out := tar.NewWriter(w)
	for i, h := range l.headers(epoch) {
		if err := out.WriteHeader(h); err != nil {
			return fmt.Errorf("packing %q: %w", h.Name, err)
		}
		if i < len(l.folders) {
			continue
		}
		f := l.files[i-len(l.folders)]
		if _, err := io.Copy(out, &stopping{ctx, &exactly{f.reader(), f.Size}}); err != nil {
			return fmt.Errorf("packing %q: %w", f.Path, err)
		}
	}
	return out.Close()
}

// stopping ends a copy with its context.
type stopping struct {
	ctx context.Context //nolint:containedctx // it lives as long as one copy
	io.Reader
}

func (s *stopping) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.Reader.Read(p)
}

// imageTag makes the name of a container image of the name of a file.
func imageTag(name string) string {
	clean := strings.Map(func(c rune) rune {
		switch {
		case c < 128 && (unicode.IsLower(c) || unicode.IsDigit(c)), c == '.', c == '-', c == '_':
			return c
		case c < 128 && unicode.IsUpper(c):
			return unicode.ToLower(c)
		}
		return '-'
	}, name)
	// Separators may neither stand at the ends nor beside each other.
	var parts []string
	for part := range strings.FieldsFuncSeq(clean, func(c rune) bool { return c == '-' || c == '.' || c == '_' }) {
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return "uki:latest"
	}
	return strings.Join(parts, "-") + ":latest"
}
