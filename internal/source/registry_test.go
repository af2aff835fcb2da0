package source_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
)

// multiPlatform makes an index of images for the given platforms, each with a
// layer that names its platform, and an attestation as BuildKit adds one.
func multiPlatform(t testing.TB, platforms ...v1.Platform) v1.ImageIndex {
	t.Helper()
	index := emptyIndex()
	for _, p := range append(platforms, v1.Platform{OS: "unknown", Architecture: "unknown"}) {
		im := testImage(t, p.Architecture, types.OCILayer, gzipBytes, makeTar(t, file{name: "usr/" + p.Architecture + p.Variant, body: p.Architecture}))
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: im, Descriptor: v1.Descriptor{Platform: &p}})
	}
	return index
}

func linux(arch, variant string) v1.Platform {
	return v1.Platform{OS: "linux", Architecture: arch, Variant: variant}
}

// TestPlatforms promises that an index gives the image for the wanted
// architecture, and that its error lists what there is.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	host := serveRegistry(t, nil)
	pushIndex(t, host+"/multi:1", multiPlatform(t, linux("amd64", "v3"), linux("amd64", ""), linux("arm64", "v8"),
		v1.Platform{OS: "windows", Architecture: "riscv64"}))
	nested := mutate.AppendManifests(emptyIndex(), mutate.IndexAddendum{
		Add: multiPlatform(t, linux("amd64", "")), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}},
	})
	pushIndex(t, host+"/nested:1", nested)
	tests := map[string]struct{ ref, arch, entry, err string }{
		"plain before variant": {"/multi:1", "amd64", "usr/amd64", ""},
		"arm64 v8":             {"/multi:1", "arm64", "usr/arm64v8", ""},
		"other system":         {"/multi:1", "riscv64", "", "no image for linux/riscv64: the index holds linux/amd64/v3, linux/amd64, linux/arm64/v8, windows/riscv64"},
		"nested":               {"/nested:1", "amd64", "usr/amd64", ""},
		"nested, other":        {"/nested:1", "arm64", "", "the index holds linux/amd64"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			im, err := open(t, "oci:"+host+tt.ref, source.Options{Architecture: tt.arch})
			if tt.err != "" {
				wantError(t, err, tt.err, "--arch")
				if strings.Contains(err.Error(), "unknown") {
					t.Errorf("the error %q lists an attestation", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			got, err := lines(t.Context(), im.Layers[0])
			if err != nil || len(got) != 1 || !strings.Contains(got[0], fmt.Sprintf("%q", tt.entry)) {
				t.Errorf("got %q, %v, want %q", got, err, tt.entry)
			}
			if im.Architecture != tt.arch {
				t.Errorf("architecture %q", im.Architecture)
			}
		})
	}
}

// TestLazy promises that only what is walked is fetched.
func TestLazy(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	host := serveRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, id, ok := strings.Cut(r.URL.Path, "/blobs/"); ok && r.Method == http.MethodGet {
				mu.Lock()
				got = append(got, id)
				mu.Unlock()
			}
			next.ServeHTTP(w, r)
		})
	})
	tars := twoLayers(t)
	image := testImage(t, "amd64", types.OCILayer, gzipBytes, tars[0], tars[1])
	push(t, host+"/x:1", image)
	im := mustOpen(t, "oci:"+host+"/x:1", source.Options{})
	if _, err := lines(t.Context(), im.Layers[1]); err != nil {
		t.Fatal(err)
	}
	want := []string{must(image.ConfigName())(t).String(), string(digest(gzipBytes(t, tars[1])))}
	if !slices.Equal(got, want) {
		t.Errorf("fetched %q, want %q", got, want)
	}
}

// guarded asks for a password.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "s3cret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// TestAuthFile promises that the file is used, read strictly, and never quoted.
func TestAuthFile(t *testing.T) {
	t.Parallel()
	var inner http.Handler
	host := serveRegistry(t, func(next http.Handler) http.Handler { inner = next; return guarded(next) })
	open2 := httptest.NewServer(inner)
	defer open2.Close()
	push(t, strings.TrimPrefix(open2.URL, "http://")+"/team/x:1",
		testImage(t, "amd64", types.OCILayer, gzipBytes, makeTar(t, file{name: "usr/x"})))
	good, bad := basic("me", "s3cret"), basic("me", "wr0ng")
	tests := map[string]struct{ content, err, hint string }{
		"by host":           {fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, good), "", ""},
		"as a URL":          {fmt.Sprintf(`{"auths":{"https://%s/v2/":{"auth":%q}}}`, host, good), "", ""},
		"by path":           {fmt.Sprintf(`{"auths":{%q:{"auth":%q},%q:{"auth":%q}}}`, host, bad, host+"/team", good), "", ""},
		"in clear":          {fmt.Sprintf(`{"auths":{%q:{"username":"me","password":"s3cret"}}}`, host), "", ""},
		"wrong password":    {fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, bad), "does not take the credentials", "log in again"},
		"for another path":  {fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host+"/tea", good), "wants credentials for team/x", "--authfile"},
		"for nobody":        {`{"auths":{}}`, "wants credentials for team/x", "--authfile"},
		"helper":            {fmt.Sprintf(`{"auths":{},"credHelpers":{%q:"pass"}}`, host), "credential helper", "podman login"},
		"not JSON":          {"s3cret", "not valid JSON", "docker login"},
		"trailing":          {`{"auths":{}} s3cret`, "not valid JSON", "docker login"},
		"no auths":          {`{"s3cret":{}}`, `no "auths"`, "docker login"},
		"bad base64":        {`{"auths":{"h":{"auth":"s3cret!"}}}`, "not base64", "docker login"},
		"no colon":          {`{"auths":{"h":{"auth":"czNjcmV0"}}}`, "user:password", "docker login"},
		"auths of a kind":   {`{"auths":{"h":"s3cret"}}`, "not valid JSON", "docker login"},
		"more than we read": {`{"auths":{}}` + strings.Repeat(" ", 2<<20), "bytes", "docker login"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := write(t, "auth.json", []byte(tt.content))
			im, err := open(t, "oci:"+host+"/team/x:1", source.Options{AuthFile: file})
			if tt.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer im.Close()
				if _, err := lines(t.Context(), im.Layers[0]); err != nil {
					t.Fatal(err)
				}
				return
			}
			wantError(t, err, tt.err, tt.hint)
			for _, secret := range []string{"s3cret", "wr0ng", good, bad} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error %q shows %q", err, secret)
				}
			}
		})
	}
	_, err := open(t, "oci:"+host+"/team/x:1", source.Options{AuthFile: "/nowhere/auth.json"})
	wantError(t, err, "no such file", "docker login")
}

// TestRegistryErrors promises one clear line and a hint for each usual trouble.
func TestRegistryErrors(t *testing.T) {
	t.Parallel()
	answers := func(code int) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/manifests/") {
					w.WriteHeader(code)
					fmt.Fprint(w, "<html>\n<body>\nlong story\n</html>")
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := serveRegistry(t, nil)
	patient := source.Options{}.Impatient(5*time.Second, 2)
	tests := map[string]struct {
		ref       string
		o         source.Options
		err, hint string
	}{
		"missing": {serveRegistry(t, nil) + "/no/such:1", patient, "does not have it in no/such (404)", "the name and the tag"},
		"401":     {serveRegistry(t, answers(401)) + "/x", patient, "wants credentials for x", "--authfile"},
		"403":     {serveRegistry(t, answers(403)) + "/x", patient, "denies access to x", "right to pull"},
		"429":     {serveRegistry(t, answers(429)) + "/x", patient, "too many requests", "wait"},
		"500":     {serveRegistry(t, answers(500)) + "/x", patient, "answers with status 500", "later"},
		// Nobody listens at a privileged port by chance; one that was just closed
		// may be another test's next moment.
		"refused":     {"127.0.0.1:1/x", patient, "refuses the connection", "the registry runs"},
		"HTTP as TLS": {"registry.test/x", patient.Dialing(plain), "speaks plain HTTP", "--insecure-registry"},
		"private address": {
			"10.1.2.3:5000/x", patient.Dialing(plain), "", "--insecure-registry",
		},
		"unknown certificate": {"registry.test/x", patient.Dialing(secure.Listener.Addr().String()), "certificate that this machine does not trust", "--insecure-registry"},
		"insecure allowed":    {"registry.test/x", func() source.Options { o := patient.Dialing(plain); o.Insecure = true; return o }(), "does not have it", "the name"},
		"insecure TLS": {"registry.test/x", func() source.Options {
			o := patient.Dialing(secure.Listener.Addr().String())
			o.Insecure = true
			return o
		}(), "404", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, "oci:"+tt.ref, tt.o)
			if name == "insecure TLS" {
				tt.hint = "the name"
			}
			wantError(t, err, tt.err, tt.hint)
		})
	}
}

// TestRegistryTLS promises that a server with a certificate works once the
// user vouches for it.
func TestRegistryTLS(t *testing.T) {
	t.Parallel()
	plain := serveRegistry(t, nil)
	push(t, plain+"/x:1", testImage(t, "amd64", types.OCILayer, gzipBytes, makeTar(t, file{name: "usr/x"})))
	proxy := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: plain}))
	proxy.Config.ErrorLog = log.New(io.Discard, "", 0)
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	host := proxy.Listener.Addr().String()
	_, err := open(t, "oci:"+host+"/x:1", source.Options{}.Impatient(time.Second, 2))
	wantError(t, err, "certificate", "--insecure-registry")
	im := mustOpen(t, "oci:"+host+"/x:1", source.Options{Insecure: true})
	if _, err := lines(t.Context(), im.Layers[0]); err != nil {
		t.Error(err)
	}
}

// TestRedirects promises that a registry may send blobs from elsewhere, but
// not in circles, and not to where clouds keep a machine's secrets.
func TestRedirects(t *testing.T) {
	t.Parallel()
	layer := makeTar(t, file{name: "usr/x"})
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("credentials go elsewhere")
		}
		if r.URL.Path == "/circle" {
			http.Redirect(w, r, "/circle", http.StatusTemporaryRedirect)
			return
		}
		w.Write(layer)
	}))
	t.Cleanup(elsewhere.Close)
	for name, tt := range map[string]struct{ to, err string }{
		"elsewhere":  {elsewhere.URL + "/blob", ""},
		"circle":     {elsewhere.URL + "/circle", "redirects more than 5 times"},
		"link-local": {"https://169.254.169.254/latest/meta-data", "link-local address 169.254.169.254"},
		"plain HTTP": {"http://192.0.2.1/blob", "sends on to plain HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &blobServer{blob: layer, path: "/blobs/" + string(digest(layer)), answers: []answer{
				func(_ *blobServer, w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, tt.to, http.StatusTemporaryRedirect)
				},
			}}
			var inner http.Handler
			host := serveRegistry(t, func(next http.Handler) http.Handler {
				inner = b.wrap(next)
				return guarded(inner)
			})
			unguarded := httptest.NewServer(inner)
			t.Cleanup(unguarded.Close)
			push(t, strings.TrimPrefix(unguarded.URL, "http://")+"/x:1", testImage(t, "amd64", types.OCIUncompressedLayer, asIs, layer))
			o := source.Options{AuthFile: write(t, "auth.json", fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, basic("me", "s3cret")))}
			im := mustOpen(t, "oci:"+host+"/x:1", o.Impatient(5*time.Second, 2))
			_, err := lines(t.Context(), im.Layers[0])
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}
