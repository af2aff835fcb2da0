package cli_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdMakeImage is "mkimage DESTINATION [arch=A[,B]...] LAYER...": it makes a
// container image of tars, lowest first, stored as compressed as they are. The
// word "empty" is a line of the history that made no layer. DESTINATION is
// layout:DIR, oci-archive:FILE, docker-archive:FILE or registry:VARIABLE/REF.
// With several architectures it is an index of images.
func cmdMakeImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mkimage DESTINATION [arch=A[,B]...] LAYER...")
	}
	architectures := []string{"amd64"}
	if list, found := strings.CutPrefix(args[1], "arch="); found {
		architectures = strings.Split(list, ",")
		args = append(args[:1:1], args[2:]...)
	}
	var images []v1.Image
	for _, a := range architectures {
		im, err := imageOf(ts, a, args[1:])
		ts.Check(err)
		images = append(images, im)
	}
	form, to, _ := strings.Cut(args[0], ":")
	var err error
	switch form {
	case "layout":
		err = writeLayout(ts.MkAbs(to), images, architectures)
	case "oci-archive":
		err = writeOCIArchive(ts.MkAbs(to), images, architectures)
	case "docker-archive":
		var archive []byte
		if archive, err = dockerArchive(images[0]); err == nil {
			err = os.WriteFile(ts.MkAbs(to), archive, 0o644)
		}
	case "registry":
		variable, repository, _ := strings.Cut(to, "/")
		err = push(registryNamed(ts, variable), repository, images, architectures)
	default:
		ts.Fatalf("no such form of image: %q", form)
	}
	ts.Check(err)
}

func imageOf(ts *testscript.TestScript, architecture string, layers []string) (v1.Image, error) {
	im := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	im = mutate.ConfigMediaType(im, types.OCIConfigJSON)
	var adds []mutate.Addendum
	for _, l := range layers {
		if l == "empty" {
			adds = append(adds, mutate.Addendum{History: v1.History{CreatedBy: "ENV a=b", EmptyLayer: true}})
			continue
		}
		layer, err := layerOf(ts.MkAbs(l))
		if err != nil {
			return nil, err
		}
		adds = append(adds, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "COPY " + l + " /"}})
	}
	im, err := mutate.Append(im, adds...)
	if err != nil {
		return nil, err
	}
	config, err := im.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	config.Created = v1.Time{Time: time.Unix(fixtureTime, 0)}
	return mutate.ConfigFile(im, config)
}

func layerOf(file string) (v1.Layer, error) {
	switch filepath.Ext(file) {
	case ".gz":
		return tarball.LayerFromFile(file, tarball.WithMediaType(types.OCILayer))
	case ".zst":
		return tarball.LayerFromFile(file, tarball.WithMediaType(types.OCILayerZStd))
	}
	content, err := os.ReadFile(file)
	return static.NewLayer(content, types.OCIUncompressedLayer), err
}

func platformOf(architecture string) v1.Platform {
	return v1.Platform{OS: "linux", Architecture: architecture}
}

func indexOf(images []v1.Image, architectures []string) v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i, im := range images {
		p := platformOf(architectures[i])
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: im, Descriptor: v1.Descriptor{Platform: &p}})
	}
	return index
}

func writeLayout(dir string, images []v1.Image, architectures []string) error {
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	tag := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"})
	if len(images) == 1 {
		return path.AppendImage(images[0], tag)
	}
	return path.AppendIndex(indexOf(images, architectures), tag)
}

// writeOCIArchive makes a tar of a layout, as skopeo does.
func writeOCIArchive(file string, images []v1.Image, architectures []string) error {
	dir, err := os.MkdirTemp(filepath.Dir(file), "layout")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeLayout(dir, images, architectures); err != nil {
		return err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// dockerArchive is what "docker save" makes: uncompressed layers, and a list
// of them at the end.
func dockerArchive(im v1.Image) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(name string, content []byte) error {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	layers, err := im.Layers()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range layers {
		id, content, err := uncompressed(l)
		if err != nil {
			return nil, err
		}
		names = append(names, id+".tar")
		if err := add(id+".tar", content); err != nil {
			return nil, err
		}
	}
	id, err := im.ConfigName()
	if err != nil {
		return nil, err
	}
	config, err := im.RawConfigFile()
	if err != nil {
		return nil, err
	}
	if err := add(id.Hex+".json", config); err != nil {
		return nil, err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": id.Hex + ".json", "RepoTags": []string{"test:latest"}, "Layers": names}})
	if err != nil {
		return nil, err
	}
	if err := add("manifest.json", manifest); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

func uncompressed(l v1.Layer) (id string, content []byte, err error) {
	hash, err := l.DiffID()
	if err != nil {
		return "", nil, err
	}
	r, err := l.Uncompressed()
	if err != nil {
		return "", nil, err
	}
	defer r.Close()
	content, err = io.ReadAll(r)
	return hash.Hex, content, err
}

func push(r *testRegistry, repository string, images []v1.Image, architectures []string) error {
	ref, err := name.ParseReference(r.host() + "/" + repository)
	if err != nil {
		return err
	}
	options := []remote.Option{remote.WithTransport(r.server.Client().Transport), remote.WithAuth(r.login())}
	if len(images) == 1 {
		err = remote.Write(ref, images[0], options...)
	} else {
		err = remote.WriteIndex(ref, indexOf(images, architectures), options...)
	}
	if err != nil {
		return fmt.Errorf("pushing %q: %w", repository, err)
	}
	return nil
}
