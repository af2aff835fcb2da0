package fetch_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/fetch"
	"inlay/test/need"
	debian "inlay/test/registry"
)

// file is a file to be pushed: a layer of an artifact.
type file struct {
	media, title, body string
	folder             bool
}

// artifact is a manifest that points to files, as oras pushes it.
type artifact struct {
	raw   []byte
	media types.MediaType
}

func (a artifact) RawManifest() ([]byte, error)        { return a.raw, nil }
func (a artifact) MediaType() (types.MediaType, error) { return a.media, nil }

const (
	emptyConfig = "application/vnd.oci.empty.v1+json"
	octets      = "application/octet-stream"
	sysextRaw   = "application/vnd.kairos.sysext.raw"
	confextRaw  = "application/vnd.kairos.confext.raw"
)

// serveRegistry starts an empty registry and returns its host and port. Each
// request may first go through wrap.
func serveRegistry(t testing.TB, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		h = wrap(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func parseName(t testing.TB, ref string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// pushArtifact pushes files under ref and returns the manifest's descriptor.
func pushArtifact(t testing.TB, ref, kind, config string, files ...file) v1.Descriptor {
	t.Helper()
	to := parseName(t, ref)
	blob := func(media, body string) v1.Descriptor {
		l := static.NewLayer([]byte(body), types.MediaType(media))
		if err := remote.WriteLayer(to.Context(), l); err != nil {
			t.Fatal(err)
		}
		d, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return v1.Descriptor{MediaType: types.MediaType(media), Digest: d, Size: int64(len(body))}
	}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: kind, Config: blob(config, "{}")}
	for _, f := range files {
		d := blob(f.media, f.body)
		d.Annotations = map[string]string{}
		if f.title != "" {
			d.Annotations["org.opencontainers.image.title"] = f.title
		}
		if f.folder {
			d.Annotations["io.deis.oras.content.unpack"] = "true"
		}
		m.Layers = append(m.Layers, d)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	a := artifact{raw, types.OCIManifestSchema1}
	if err := remote.Put(to, a); err != nil {
		t.Fatal(err)
	}
	sum := digest(string(raw))
	return v1.Descriptor{MediaType: a.media, Size: int64(len(raw)), Digest: v1.Hash{Algorithm: "sha256", Hex: sum.Hex()}}
}

// entry is one entry of a layer's tar.
type entry struct {
	name, body string
	kind       byte // tar's type flag; 0 is a regular file
	link       string
}

func layer(t testing.TB, entries ...entry) v1.Layer {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: 0o644, Size: int64(len(e.body))}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return gzipped{static.NewLayer(out.Bytes(), types.OCILayer), out.Bytes(), t}
}

// gzipped is a static layer that knows the digest of its uncompressed form.
type gzipped struct {
	v1.Layer
	packed []byte
	t      testing.TB
}

func (g gzipped) DiffID() (v1.Hash, error) {
	z, err := gzip.NewReader(bytes.NewReader(g.packed))
	if err != nil {
		return v1.Hash{}, err
	}
	b, err := io.ReadAll(z)
	return v1.Hash{Algorithm: "sha256", Hex: digest(string(b)).Hex()}, err
}

// image makes a container image as FROM scratch and some COPYs do.
func image(t testing.TB, arch string, layers ...v1.Layer) v1.Image {
	t.Helper()
	im := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	im, err := mutate.AppendLayers(im, layers...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := im.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture = "linux", arch
	if im, err = mutate.ConfigFile(im, c); err != nil {
		t.Fatal(err)
	}
	return im
}

func pushImage(t testing.TB, ref string, im v1.Image) {
	t.Helper()
	if err := remote.Write(parseName(t, ref), im); err != nil {
		t.Fatal(err)
	}
}

// TestArtifacts promises that an artifact whose one raw image is found by its
// media type, its title or its own type is taken, and any other is not.
func TestArtifacts(t *testing.T) {
	t.Parallel()
	const kairos = "application/vnd.kairos.extension"
	readme := file{media: "text/markdown", title: "README.md", body: "read me"}
	for name, tt := range map[string]struct {
		kind, config string
		files        []file
		want         string
		err, advice  string
	}{
		"sysext":           {kairos, emptyConfig, []file{{media: sysextRaw, title: "x.sysext.raw", body: "image"}}, "x.sysext.raw", "", ""},
		"confext":          {kairos, emptyConfig, []file{{media: confextRaw, title: "x.confext.raw", body: "image"}}, "x.confext.raw", "", ""},
		"beside others":    {kairos, emptyConfig, []file{readme, {media: sysextRaw, title: "x.sysext.raw", body: "image"}}, "x.sysext.raw", "", ""},
		"no title":         {kairos, emptyConfig, []file{{media: sysextRaw, body: "image"}}, "k3s.sysext.raw", "", ""},
		"confext no title": {kairos, emptyConfig, []file{{media: confextRaw, body: "image"}}, "k3s.confext.raw", "", ""},
		"title is a path":  {kairos, emptyConfig, []file{{media: sysextRaw, title: "out/../../x.sysext.raw", body: "image"}}, "x.sysext.raw", "", ""},
		"title is hidden":  {kairos, emptyConfig, []file{{media: sysextRaw, title: ".x.sysext.raw", body: "image"}}, "k3s.sysext.raw", "", ""},
		"octets":           {"", emptyConfig, []file{{media: octets, title: "x.raw", body: "image"}}, "x.raw", "", ""},
		"octets, others":   {"", emptyConfig, []file{readme, {media: octets, title: "x.raw", body: "image"}}, "x.raw", "", ""},
		"oras default":     {"application/vnd.unknown.artifact.v1", emptyConfig, []file{{media: "application/vnd.oci.image.layer.v1.tar", title: "x.raw", body: "image"}}, "x.raw", "", ""},
		"oras of old":      {"", "application/vnd.unknown.config.v1+json", []file{{media: "application/vnd.oci.image.layer.v1.tar", title: "x.raw", body: "image"}}, "x.raw", "", ""},
		"artifact type":    {sysextRaw, emptyConfig, []file{{media: octets, body: "image"}}, "k3s.sysext.raw", "", ""},
		"config type":      {"", confextRaw, []file{{media: octets, body: "image"}}, "k3s.confext.raw", "", ""},
		"image's config":   {"", string(types.OCIConfigJSON), []file{{media: sysextRaw, title: "x.sysext.raw", body: "image"}}, "x.sysext.raw", "", ""},
		"octets in image":  {"", string(types.OCIConfigJSON), []file{{media: octets, title: "x.raw", body: "image"}}, "x.raw", "", ""},

		"two":               {kairos, emptyConfig, []file{{media: sysextRaw, title: "y.sysext.raw", body: "y"}, {media: confextRaw, title: "x.confext.raw", body: "x"}}, "", "holds 2 raw images: x.confext.raw, y.sysext.raw", "one"},
		"two by title":      {"", emptyConfig, []file{{media: octets, title: "y.raw", body: "y"}, {media: octets, title: "x.raw", body: "x"}}, "", "holds 2 raw images: x.raw, y.raw", "one"},
		"typed, two files":  {sysextRaw, emptyConfig, []file{{media: octets, body: "image"}, readme}, "", `the artifact, of type "application/vnd.kairos.sysext.raw", holds no raw image`, "inlay build"},
		"no image":          {"", emptyConfig, []file{readme}, "", `the artifact, of type "application/vnd.oci.empty.v1+json", holds no raw image`, "inlay unpack"},
		"no file":           {kairos, emptyConfig, nil, "", "holds no raw image", "inlay build"},
		"packed":            {"", emptyConfig, []file{{media: "application/vnd.oci.image.layer.v1.tar+gzip", title: "x.raw", body: "image"}}, "", "holds no raw image", "inlay build"},
		"a folder":          {"", emptyConfig, []file{{media: octets, title: "x.raw", body: "image", folder: true}}, "", "holds no raw image", "inlay build"},
		"octets, no title":  {"", emptyConfig, []file{{media: octets, body: "image"}}, "", "holds no raw image", "inlay build"},
		"octets, not image": {"", emptyConfig, []file{{media: octets, title: "x.raw.xz", body: "image"}}, "", "holds no raw image", "inlay build"},
		"helm chart":        {"", "application/vnd.cncf.helm.config.v1+json", []file{{media: "application/vnd.cncf.helm.chart.content.v1.tar+gzip", body: "chart"}}, "", `of type "application/vnd.cncf.helm.config.v1+json", holds no raw image`, "inlay unpack"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := serveRegistry(t, nil)
			d := pushArtifact(t, host+"/team/k3s:1.32", tt.kind, tt.config, tt.files...)
			for _, ref := range []string{"oci:" + host + "/team/k3s:1.32", "oci://" + host + "/team/k3s@" + d.Digest.String()} {
				g, err := download(t, fetch.Request{URI: ref})
				if tt.err != "" {
					wantError(t, err, tt.err, tt.advice)
					continue
				}
				if err != nil {
					t.Error(err)
					continue
				}
				source := strings.TrimSuffix(strings.Replace(ref, "//", "", 1), "@"+d.Digest.String()) + "@" + d.Digest.String()
				if g.FileName != tt.want || g.body != "image" || g.Download.Size != 5 || g.Source != source {
					t.Errorf("%+v, %q", g.Download, g.body)
				}
			}
		})
	}
}

// TestImages promises that an image whose layers hold one raw image is taken, as
// the image would show it to a container, and any other is not.
func TestImages(t *testing.T) {
	t.Parallel()
	raw := entry{name: "x.sysext.raw", body: "image"}
	for name, tt := range map[string]struct {
		layers      []v1.Layer
		want        string
		err, advice string
	}{
		"from scratch":      {[]v1.Layer{layer(t, raw)}, "x.sysext.raw", "", ""},
		"deep":              {[]v1.Layer{layer(t, entry{name: "images/x.raw", body: "image"})}, "x.raw", "", ""},
		"on top":            {[]v1.Layer{layer(t, entry{name: "bin/sh", body: "sh"}), layer(t, raw)}, "x.sysext.raw", "", ""},
		"below":             {[]v1.Layer{layer(t, raw), layer(t, entry{name: "README", body: "x"})}, "x.sysext.raw", "", ""},
		"replaced":          {[]v1.Layer{layer(t, entry{name: "x.raw", body: "old image"}), layer(t, entry{name: "x.raw", body: "image"})}, "x.raw", "", ""},
		"deleted and other": {[]v1.Layer{layer(t, entry{name: "y.raw", body: "old"}), layer(t, entry{name: ".wh.y.raw"}, raw)}, "x.sysext.raw", "", ""},
		"folder emptied":    {[]v1.Layer{layer(t, entry{name: "a/y.raw", body: "old"}), layer(t, entry{name: "a/.wh..wh..opq"}, entry{name: "a/x.raw", body: "image"})}, "x.raw", "", ""},
		"a link beside":     {[]v1.Layer{layer(t, raw, entry{name: "latest.raw", kind: tar.TypeSymlink, link: "x.sysext.raw"})}, "x.sysext.raw", "", ""},
		"a folder beside":   {[]v1.Layer{layer(t, raw, entry{name: "y.raw", kind: tar.TypeDir})}, "x.sysext.raw", "", ""},
		"no name":           {[]v1.Layer{layer(t, entry{name: ".raw", body: "image"})}, "", "nothing there says what to call", "--name"},

		"deleted":          {[]v1.Layer{layer(t, raw), layer(t, entry{name: ".wh.x.sysext.raw"})}, "", "no layer of the container image holds a raw image", "inlay build"},
		"replaced by link": {[]v1.Layer{layer(t, raw), layer(t, entry{name: "x.sysext.raw", kind: tar.TypeSymlink, link: "/y"})}, "", "no layer of", "inlay unpack"},
		"two":              {[]v1.Layer{layer(t, raw, entry{name: "a/y.raw", body: "y"})}, "", "holds 2 raw images: a/y.raw, x.sysext.raw", "one"},
		"two in layers":    {[]v1.Layer{layer(t, raw), layer(t, entry{name: "y.raw", body: "y"})}, "", "holds 2 raw images: x.sysext.raw, y.raw", "one"},
		"hard link":        {[]v1.Layer{layer(t, entry{name: "blob", body: "image"}, entry{name: "x.raw", kind: tar.TypeLink, link: "blob"})}, "", `"x.raw" is a hard link`, "COPY"},
		"two names":        {[]v1.Layer{layer(t, raw, entry{name: "y.raw", kind: tar.TypeLink, link: "x.sysext.raw"})}, "", "holds 2 raw images", "one"},
		"none":             {[]v1.Layer{layer(t, entry{name: "bin/sh", body: "sh"})}, "", "no layer of the container image holds a raw image", "inlay build"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := serveRegistry(t, nil)
			pushImage(t, host+"/x:1", image(t, "amd64", tt.layers...))
			g, err := download(t, fetch.Request{URI: "oci:" + host + "/x:1"})
			if tt.err != "" {
				wantError(t, err, tt.err, tt.advice)
			} else if err != nil || g.FileName != tt.want || g.body != "image" || g.Download.Size != 5 {
				t.Errorf("%+v, %q, %v", g.Download, g.body, err)
			}
		})
	}
}

// TestPlatforms promises this machine's image, or that of the architecture that
// was asked for.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	host := serveRegistry(t, nil)
	images, artifacts := mutate.IndexMediaType(empty.Index, types.OCIImageIndex), v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for _, arch := range []string{"amd64", "arm64"} {
		p := &v1.Platform{OS: "linux", Architecture: arch}
		images = mutate.AppendManifests(images, mutate.IndexAddendum{
			Add: image(t, arch, layer(t, entry{name: arch + ".raw", body: arch})), Descriptor: v1.Descriptor{Platform: p},
		})
		d := pushArtifact(t, host+"/artifacts:"+arch, "", emptyConfig, file{media: sysextRaw, title: arch + ".raw", body: arch})
		d.Platform = p
		artifacts.Manifests = append(artifacts.Manifests, d)
	}
	if err := remote.WriteIndex(parseName(t, host+"/images:1"), images); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(artifacts)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Put(parseName(t, host+"/artifacts:1"), artifact{raw, types.OCIImageIndex}); err != nil {
		t.Fatal(err)
	}
	for _, repository := range []string{"/images:1", "/artifacts:1"} {
		for _, arch := range []string{"amd64", "arm64"} {
			g, err := download(t, fetch.Request{URI: "oci:" + host + repository, Architecture: arch})
			if err != nil || g.body != arch || g.FileName != arch+".raw" {
				t.Errorf("%s: %+v, %v", repository, g, err)
			}
		}
		_, err := download(t, fetch.Request{URI: "oci:" + host + repository, Architecture: "riscv64"})
		wantError(t, err, "no image for linux/riscv64: the index holds linux/amd64, linux/arm64", "--arch")
	}
}

// TestRegistryHostile promises that what a registry sends is held against its
// manifest, and a digest against all of it.
func TestRegistryHostile(t *testing.T) {
	t.Parallel()
	im := image(t, "amd64", layer(t, entry{name: "x.raw", body: "image"}))
	flip := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			body := rec.Body.Bytes()
			if strings.Contains(r.URL.Path, "/blobs/sha256:") && r.Method == http.MethodGet && !bytes.HasPrefix(body, []byte("{")) && len(body) > 0 {
				body = bytes.Clone(body)
				body[len(body)-1] ^= 1
			}
			maps.Copy(w.Header(), rec.Header())
			w.WriteHeader(rec.Code)
			_, _ = w.Write(body)
		})
	}
	honest, lying := serveRegistry(t, nil), serveRegistry(t, flip)
	for _, host := range []string{honest, lying} {
		pushArtifact(t, host+"/artifact:1", "", emptyConfig, file{media: sysextRaw, title: "x.raw", body: "image"})
		pushImage(t, host+"/image:1", im)
	}
	for name, tt := range map[string]struct {
		uri, err, advice string
		missing          bool
	}{
		"blob":           {uri: lying + "/artifact:1", err: `the file "x.raw" has the digest`},
		"layer":          {uri: lying + "/image:1", err: "inflating layer 1 of 1", advice: "damaged"},
		"digest":         {uri: honest + "/artifact:1#sha256=" + digest("y").Hex(), err: "the file has the digest", advice: "don't use"},
		"digest, image":  {uri: honest + "/image:1#sha256=" + digest("y").Hex(), err: "the file has the digest", advice: "don't use"},
		"no such tag":    {uri: honest + "/image:2", err: "does not have it", advice: "the tag", missing: true},
		"no such name":   {uri: honest + "/gone:1", err: "does not have it", advice: "the tag", missing: true},
		"no such digest": {uri: honest + "/image@" + string(digest("y")), err: "does not have it", advice: "the tag", missing: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := download(t, fetch.Request{URI: "oci:" + tt.uri})
			wantError(t, err, tt.err, tt.advice)
			if errors.Is(err, fetch.ErrNotFound) != tt.missing {
				t.Errorf("%v is ErrNotFound: %v", err, !tt.missing)
			}
		})
	}
	for _, uri := range []string{"/artifact:1", "/image:1"} {
		if g, err := download(t, fetch.Request{URI: "oci:" + honest + uri, Digest: string(digest("image"))}); err != nil || g.body != "image" {
			t.Errorf("%s: %q, %v", uri, g.body, err)
		}
	}
}

// TestRegistryCredentials promises that the file of credentials is used.
func TestRegistryCredentials(t *testing.T) {
	t.Parallel()
	var inner http.Handler
	host := serveRegistry(t, func(next http.Handler) http.Handler {
		inner = next
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "me" || password != "s3cret" {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	open := httptest.NewServer(inner)
	t.Cleanup(open.Close)
	pushArtifact(t, strings.TrimPrefix(open.URL, "http://")+"/x:1", "", emptyConfig, file{media: sysextRaw, title: "x.raw", body: "image"})
	_, err := download(t, fetch.Request{URI: "oci:" + host + "/x:1"})
	wantError(t, err, "wants credentials", "--authfile")
	if errors.Is(err, fetch.ErrNotFound) {
		t.Errorf("%v passes for ErrNotFound", err)
	}
	auth := write(t, "auth.json", `{"auths":{"`+host+`":{"username":"me","password":"s3cret"}}}`)
	if g, err := download(t, fetch.Request{URI: "oci:" + host + "/x:1", AuthFile: auth}); err != nil || g.body != "image" {
		t.Errorf("%q, %v", g.body, err)
	}
}

// TestRegistryResume promises that a large blob is taken up again, and counted.
func TestRegistryResume(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789abcdef", 3<<16)
	var ranges []string
	host := serveRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, string(digest(body))) {
				next.ServeHTTP(w, r)
				return
			}
			ranges = append(ranges, r.Header.Get("Range"))
			http.ServeContent(&short{w, len(ranges) == 1}, r, "", timeZero(), strings.NewReader(body))
		})
	})
	pushArtifact(t, host+"/x:1", "", emptyConfig, file{media: sysextRaw, title: "x.raw", body: body})
	var last, total int64
	g, err := download(t, fetch.Request{URI: "oci:" + host + "/x:1", Progress: func(d, n int64) { last, total = d, n }})
	if err != nil || g.body != body || last != int64(len(body)) || total != last {
		t.Errorf("%d bytes, progress %d of %d, %v", len(g.body), last, total, err)
	}
	if len(ranges) != 2 || !strings.HasPrefix(ranges[1], "bytes=") {
		t.Errorf("asked for %q", ranges)
	}
}

// TestDebianRegistry promises that artifacts and images in a real registry are
// read, and when skopeo has copied them, too.
func TestDebianRegistry(t *testing.T) {
	t.Parallel()
	host := debian.Start(t)
	d := pushArtifact(t, host+"/team/artifact:1", "application/vnd.kairos.extension", emptyConfig, file{media: sysextRaw, title: "x.sysext.raw", body: "image"})
	pushImage(t, host+"/team/image:1", image(t, "amd64", layer(t, entry{name: "x.sysext.raw", body: "image"})))
	skopeo := need.Tool(t, "skopeo", "skopeo")
	for _, name := range []string{"artifact", "image"} {
		out, err := exec.CommandContext(t.Context(), skopeo, "copy", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false",
			"docker://"+host+"/team/"+name+":1", "docker://"+host+"/copied/"+name+":1").CombinedOutput()
		if err != nil {
			t.Fatalf("skopeo: %v\n%s", err, out)
		}
	}
	for _, uri := range []string{
		"/team/artifact:1", "/team/artifact@" + d.Digest.String(), "/team/image:1", "/copied/artifact:1", "/copied/image:1",
	} {
		g, err := download(t, fetch.Request{URI: "oci://" + host + uri})
		if err != nil || g.body != "image" || g.FileName != "x.sysext.raw" {
			t.Errorf("%s: %+v, %v", uri, g, err)
		}
	}
	_, err := download(t, fetch.Request{URI: "oci:" + host + "/team/image:2"})
	wantError(t, err, "does not have it", "the tag")
}
