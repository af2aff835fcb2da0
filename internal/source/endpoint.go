package source

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/transfer"
)

// endpoint is where a Docker or Podman daemon listens.
type endpoint struct {
	host   string // as DOCKER_HOST has it, for messages
	client *http.Client
	base   string // scheme and host of the URLs
}

// endpoints returns where to ask for a daemon: the one that was configured, or
// all the usual sockets that exist, Docker's first.
func endpoints(o Options) ([]endpoint, error) {
	if host := cmp.Or(o.DockerHost, os.Getenv("DOCKER_HOST")); host != "" {
		e, err := newEndpoint(host)
		if err != nil {
			return nil, err
		}
		return []endpoint{e}, nil
	}
	sockets := []string{"/var/run/docker.sock"}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		sockets = append(sockets, filepath.Join(dir, "podman", "podman.sock"))
	}
	sockets = append(sockets, "/run/podman/podman.sock")
	var found []endpoint
	for _, path := range sockets {
		if info, err := os.Stat(path); err == nil && info.Mode().Type() == os.ModeSocket {
			found = append(found, unixEndpoint("unix://"+path, path))
		}
	}
	if len(found) == 0 {
		return nil, hint.Wrap(errors.New("there is no Docker or Podman daemon on this machine"),
			"start one (podman system service, or dockerd), set DOCKER_HOST, or use oci:REF or file:PATH")
	}
	return found, nil
}

func newEndpoint(host string) (endpoint, error) {
	u, err := url.Parse(host)
	if err != nil {
		return endpoint{}, hint.Wrap(fmt.Errorf("DOCKER_HOST %q is not a URL", clip(host)), "write unix://PATH or tcp://HOST:PORT")
	}
	switch u.Scheme {
	case "unix":
		if path := u.Host + u.Path; filepath.IsAbs(path) {
			return unixEndpoint(host, path), nil
		}
		err = errors.New("its path is not absolute")
	case "tcp":
		if u.Host != "" && (u.Path == "" || u.Path == "/") && u.User == nil {
			return tcpEndpoint(host, u.Host)
		}
		err = errors.New("it is not of the form tcp://HOST:PORT")
	case "ssh":
		return endpoint{}, hint.Wrap(errors.New("a daemon behind ssh:// cannot be asked"),
			"forward its socket with ssh -L /tmp/docker.sock:/var/run/docker.sock HOST and set DOCKER_HOST=unix:///tmp/docker.sock")
	default:
		err = fmt.Errorf("the scheme %q is not known", clip(u.Scheme))
	}
	return endpoint{}, hint.Wrap(fmt.Errorf("DOCKER_HOST %q: %w", clip(host), err), "write unix://PATH or tcp://HOST:PORT")
}

func unixEndpoint(host, path string) endpoint {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: transfer.DialTimeout}).DialContext(ctx, "unix", path)
	}
	return endpoint{
		host: host, base: "http://daemon",
		client: &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true, MaxIdleConns: 2}},
	}
}

// tcpEndpoint follows Docker's own rule: TLS if DOCKER_TLS_VERIFY is set, with
// ca.pem, cert.pem and key.pem from DOCKER_CERT_PATH.
func tcpEndpoint(host, address string) (endpoint, error) {
	e := endpoint{host: host, base: "http://" + address}
	tr := &http.Transport{
		DialContext:        (&net.Dialer{Timeout: transfer.DialTimeout}).DialContext,
		DisableCompression: true,
		MaxIdleConns:       2,
	}
	if os.Getenv("DOCKER_TLS_VERIFY") != "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return e, err
		}
		config, err := tlsFrom(cmp.Or(os.Getenv("DOCKER_CERT_PATH"), filepath.Join(home, ".docker")))
		if err != nil {
			return e, hint.Wrap(fmt.Errorf("preparing TLS for %q: %w", host, err),
				"DOCKER_CERT_PATH must name the folder with ca.pem, cert.pem and key.pem")
		}
		tr.TLSClientConfig = config
		e.base = "https://" + address
	}
	e.client = &http.Client{Transport: tr}
	return e, nil
}

func tlsFrom(dir string) (*tls.Config, error) {
	authority, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, errors.New("ca.pem holds no certificate")
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// unreachable explains why no daemon answered.
func (e endpoint) unreachable(err error) error {
	advice := "check that the daemon runs, or use oci:REF or file:PATH"
	if errors.Is(err, os.ErrPermission) {
		advice = "join the group that owns the socket, or use podman's own socket"
	}
	cause := transfer.Cause(err)
	if op, ok := errors.AsType[*net.OpError](cause); ok {
		cause = op.Err
	}
	return hint.Wrap(fmt.Errorf("no daemon answers at %s: %w", strings.TrimSpace(e.host), cause), advice)
}
