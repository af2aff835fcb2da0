package source

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"inlay/internal/transfer"
)

// repository is one repository of a registry, logged in.
type repository struct {
	client   *http.Client
	base     url.URL // scheme://host/v2/name
	name     name.Repository
	patience transfer.Patience
	known    bool   // credentials were found
	named    Digest // of what find began with
}

func openRegistry(ctx context.Context, image string, o Options) (*Image, error) {
	r, ref, err := openRepository(ctx, image, o)
	if err != nil {
		return nil, err
	}
	im, err := r.image(ctx, ref, o.architecture())
	if err != nil {
		r.client.CloseIdleConnections()
		return nil, err
	}
	im.Origin = fmt.Sprintf("registry %s", ref.Context().RegistryStr())
	im.stamp = stampOf(r.named)
	im.closers = append(im.closers, func() error {
		r.client.CloseIdleConnections()
		return nil
	})
	return im, nil
}

func (r *repository) image(ctx context.Context, ref name.Reference, arch string) (*Image, error) {
	d, m, err := r.find(ctx, ref, arch)
	if err != nil {
		return nil, err
	}
	return newImage(ctx, r, d, m)
}

// find follows ref to the manifest of what is meant for arch.
func (r *repository) find(ctx context.Context, ref name.Reference, arch string) (descriptor, *manifest, error) {
	d, b, err := r.fetchManifest(ctx, ref)
	if err != nil {
		return d, nil, err
	}
	r.named = d.Digest
	m, err := parseManifest(b, d.MediaType)
	if err != nil || !m.isIndex() {
		return d, m, err
	}
	if d, err = choose(m.Manifests, arch); err != nil {
		return d, nil, err
	}
	return resolve(ctx, r, d, arch)
}

// openRepository logs in to where image lies.
func openRepository(ctx context.Context, image string, o Options) (*repository, name.Reference, error) {
	var strictness []name.Option
	if o.Insecure {
		strictness = append(strictness, name.Insecure)
	}
	ref, err := parseName(image, strictness...)
	if err != nil {
		return nil, nil, err
	}
	r, err := login(ctx, ref.Context(), o)
	return r, ref, err
}

// login finds credentials and makes a client that uses them.
func login(ctx context.Context, repo name.Repository, o Options) (*repository, error) {
	var keychain authn.Keychain = authn.DefaultKeychain
	if o.AuthFile != "" {
		file, err := readAuthFile(o.AuthFile)
		if err != nil {
			return nil, err
		}
		keychain = authn.NewMultiKeychain(file, authn.DefaultKeychain)
	}
	auth, err := authn.Resolve(ctx, keychain, repo)
	if err != nil {
		return nil, fmt.Errorf("finding credentials for %s: %w", repo.RegistryStr(), err)
	}
	r := &repository{name: repo, patience: o.patience.OrDefault(), known: auth != authn.Anonymous}
	guard := &schemeGuard{inner: baseTransport(o, r.patience), insecure: o.Insecure}
	tr, err := transport.NewWithContext(ctx, repo.Registry, auth, retrying(guard, r.patience), []string{repo.Scope(transport.PullScope)})
	if err != nil {
		if distrust := guard.distrust.Load(); distrust != nil {
			err = *distrust // says more than what plain HTTP met on the same port
		}
		return nil, r.explain(err, "logging in")
	}
	r.client = &http.Client{Transport: tr, CheckRedirect: transfer.CheckRedirect("the registry")}
	r.base = url.URL{Scheme: repo.Scheme(), Host: repo.RegistryStr(), Path: "/v2/" + repo.RepositoryStr()}
	return r, nil
}

func (r *repository) get(ctx context.Context, kind, id string, header http.Header) (*http.Response, error) {
	return r.ask(ctx, http.MethodGet, kind, id, header)
}

func (r *repository) ask(ctx context.Context, method, kind, id string, header http.Header) (*http.Response, error) {
	u := r.base
	u.Path += "/" + kind + "/" + id
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	return r.client.Do(req)
}

// fetchManifest reads what ref names. The digest of the answer is part of the
// descriptor; a reference by digest, or the registry's own word on it, must agree.
func (r *repository) fetchManifest(ctx context.Context, ref name.Reference) (descriptor, []byte, error) {
	resp, err := r.getManifest(ctx, ref.Identifier())
	if err != nil {
		return descriptor{}, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	if err != nil {
		return descriptor{}, nil, r.explain(err, "reading the manifest")
	}
	d := descriptor{MediaType: resp.Header.Get("Content-Type"), Digest: digestOf(b), Size: int64(len(b))}
	want := Digest(resp.Header.Get("Docker-Content-Digest"))
	if _, ok := ref.(name.Digest); ok {
		want = Digest(ref.Identifier())
	}
	if strings.HasPrefix(string(want), digestPrefix) && want != d.Digest {
		return descriptor{}, nil, &MismatchError{What: "the manifest", Want: want, Got: d.Digest}
	}
	return d, b, nil
}

func manifestHeader() http.Header { return http.Header{"Accept": slices.Clone(manifestTypes())} }

func (r *repository) getManifest(ctx context.Context, id string) (*http.Response, error) {
	resp, err := r.get(ctx, "manifests", id, manifestHeader())
	if err == nil && resp.StatusCode != http.StatusOK {
		err = transport.CheckError(resp, http.StatusOK)
		resp.Body.Close()
	}
	if err != nil {
		return nil, r.explain(err, "reading the manifest")
	}
	return resp, nil
}

// manifest implements store.
func (r *repository) manifest(ctx context.Context, d descriptor) (io.ReadCloser, error) {
	resp, err := r.getManifest(ctx, string(d.Digest))
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// open implements store.
func (r *repository) open(ctx context.Context, d descriptor) (io.ReadCloser, error) {
	get := func(ctx context.Context, header http.Header) (*http.Response, error) {
		resp, err := r.get(ctx, "blobs", string(d.Digest), header)
		if err != nil {
			return nil, r.explain(err, "reading "+d.Digest.Short())
		}
		if err := transport.CheckError(resp, http.StatusOK, http.StatusPartialContent); err != nil {
			resp.Body.Close()
			explained := r.explain(err, "reading "+d.Digest.Short())
			if transfer.IsPassing(resp.StatusCode) {
				return nil, explained
			}
			return nil, transfer.Permanent(explained)
		}
		return resp, nil
	}
	return transfer.NewBlob(ctx, get, d.Size, r.patience), nil
}
