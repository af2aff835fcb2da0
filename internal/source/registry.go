package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"inlay/internal/hint"
)

const (
	// maxRedirects bounds the hops from a registry to where its blobs lie.
	maxRedirects = 5
	// dialTimeout bounds the wait for a server that does not answer at all.
	dialTimeout = 15 * time.Second
)

// repository is one repository of a registry, logged in.
type repository struct {
	client   *http.Client
	base     url.URL // scheme://host/v2/name
	name     name.Repository
	patience patience
	known    bool // credentials were found
}

func openRegistry(ctx context.Context, image string, o Options) (*Image, error) {
	var strictness []name.Option
	if o.Insecure {
		strictness = append(strictness, name.Insecure)
	}
	ref, err := name.ParseReference(image, strictness...)
	if err != nil {
		return nil, fmt.Errorf("%q is not an image reference", image)
	}
	r, err := login(ctx, ref.Context(), o)
	if err != nil {
		return nil, err
	}
	im, err := r.image(ctx, ref, o.architecture())
	if err != nil {
		r.client.CloseIdleConnections()
		return nil, err
	}
	im.Origin = fmt.Sprintf("registry %s", ref.Context().RegistryStr())
	im.closers = append(im.closers, func() error {
		r.client.CloseIdleConnections()
		return nil
	})
	return im, nil
}

func (r *repository) image(ctx context.Context, ref name.Reference, arch string) (*Image, error) {
	d, b, err := r.fetchManifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(b, d.MediaType)
	if err != nil {
		return nil, err
	}
	if m.isIndex() {
		if d, err = choose(m.Manifests, arch); err != nil {
			return nil, err
		}
		if d, m, err = resolve(ctx, r, d, arch); err != nil {
			return nil, err
		}
	}
	return newImage(ctx, r, d, m)
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
	r := &repository{name: repo, patience: o.patience.orDefault(), known: auth != authn.Anonymous}
	tr, err := transport.NewWithContext(ctx, repo.Registry, auth, r.retrying(o), []string{repo.Scope(transport.PullScope)})
	if err != nil {
		return nil, r.explain(err, "logging in")
	}
	r.client = &http.Client{Transport: tr, CheckRedirect: checkRedirect}
	r.base = url.URL{Scheme: repo.Scheme(), Host: repo.RegistryStr(), Path: "/v2/" + repo.RepositoryStr()}
	return r, nil
}

// retrying is the transport below the login: it repeats requests that a
// passing trouble ended before their answer began.
func (r *repository) retrying(o Options) http.RoundTripper {
	dial := o.dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	base := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dial,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          8,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: r.patience.stall,
		// A blob is wanted as it is stored: its digest covers the gzip.
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: o.Insecure}, //nolint:gosec // the user's own choice
	}
	return transport.NewRetry(&schemeGuard{base, o.Insecure},
		transport.WithRetryBackoff(transport.Backoff{Duration: r.patience.backoff, Factor: 3, Jitter: 0.1, Steps: 3}),
		transport.WithRetryPredicate(func(err error) bool {
			var passing interface{ Temporary() bool }
			return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isReset(err) ||
				errors.As(err, &passing) && passing.Temporary()
		}),
		transport.WithRetryStatusCodes(http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout))
}

// schemeGuard keeps plain HTTP to this machine unless the user allows it. The
// client library would also try it for private addresses, credentials and all.
type schemeGuard struct {
	inner    http.RoundTripper
	insecure bool
}

var errPlainHTTP = errors.New("plain HTTP is not allowed")

func (g *schemeGuard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.insecure && !isLoopback(req.URL.Hostname()) {
		return nil, errPlainHTTP
	}
	return g.inner.RoundTrip(req)
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// checkRedirect bounds redirects and keeps them from link-local addresses,
// where clouds serve their machines' secrets.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("the registry redirects more than %d times", maxRedirects)
	}
	if addr, err := netip.ParseAddr(req.URL.Hostname()); err == nil && addr.Unmap().IsLinkLocalUnicast() {
		return fmt.Errorf("the registry redirects to the link-local address %s", addr)
	}
	return nil
}

func (r *repository) get(ctx context.Context, kind, id string, header http.Header) (*http.Response, error) {
	u := r.base
	u.Path += "/" + kind + "/" + id
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
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

func (r *repository) getManifest(ctx context.Context, id string) (*http.Response, error) {
	header := http.Header{"Accept": slices.Clone(manifestTypes())}
	resp, err := r.get(ctx, "manifests", id, header)
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
			if isPassing(resp.StatusCode) {
				return nil, explained
			}
			return nil, &permanentError{explained}
		}
		return resp, nil
	}
	return newDownload(ctx, get, d.Size, r.patience), nil
}

func isPassing(status int) bool {
	return status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}

// openAny asks the daemon first and takes its image only if it fits.
func openAny(ctx context.Context, image string, o Options) (*Image, error) {
	im, err := openDaemon(ctx, image, o)
	reason := ""
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		reason = oneLine(err)
	case im.OS == "linux" && im.Architecture == o.architecture():
		return im, nil
	default:
		reason = "the daemon's image is " + platform{OS: im.OS, Architecture: im.Architecture}.String()
		if err := im.Close(); err != nil {
			return nil, err
		}
	}
	im, err = openRegistry(ctx, image, o)
	if err != nil {
		err = fmt.Errorf("%w (%s)", err, reason)
		if advice := localPath(image); advice != "" {
			err = hint.Wrap(err, advice)
		}
		return nil, err
	}
	im.Origin += fmt.Sprintf(" (%s)", reason)
	return im, nil
}
