package source

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"inlay/internal/hint"
)

// maxAuthFile bounds the credentials file; real ones have a few hundred bytes.
const maxAuthFile = 1 << 20

// authFile is a keychain of one file in the form of docker's config.json and
// podman's auth.json. It is read strictly: what cannot be used is an error, as
// falling back to no credentials would end in a puzzling refusal. No error
// shows what the file holds as a secret.
type authFile struct {
	path    string
	entries map[string]authEntry
	helpers map[string]string
}

type authEntry struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

func readAuthFile(file string) (*authFile, error) {
	const advice = "name a file that docker login or podman login --authfile wrote"
	f, err := os.Open(file)
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("reading the credentials: %w", err), advice)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxAuthFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the credentials: %w", err)
	}
	var content struct {
		Auths       map[string]authEntry `json:"auths"`
		CredHelpers map[string]string    `json:"credHelpers"`
	}
	if len(b) > maxAuthFile {
		return nil, hint.Wrap(fmt.Errorf("the credentials file %q has more than %d bytes", file, maxAuthFile), advice)
	}
	// The JSON package's messages may quote the input, so they are not passed on.
	if json.Unmarshal(b, &content) != nil {
		return nil, hint.Wrap(fmt.Errorf("the credentials file %q is not valid JSON of the expected form", file), advice)
	}
	if content.Auths == nil && content.CredHelpers == nil {
		return nil, hint.Wrap(fmt.Errorf("the credentials file %q has no \"auths\"", file), advice)
	}
	a := &authFile{path: file, entries: map[string]authEntry{}, helpers: map[string]string{}}
	for key, entry := range content.Auths {
		if _, err := entry.config(); err != nil {
			return nil, hint.Wrap(fmt.Errorf("the credentials file %q: the entry %q: %w", file, printable(key), err), advice)
		}
		a.entries[cleanKey(key)] = entry
	}
	for key, helper := range content.CredHelpers {
		a.helpers[cleanKey(key)] = helper
	}
	return a, nil
}

// config turns an entry into what the registry client takes. An empty entry is
// what docker leaves where a credential store holds the secret.
func (e authEntry) config() (authn.AuthConfig, error) {
	c := authn.AuthConfig{
		Username: e.Username, Password: e.Password,
		IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken,
	}
	if e.Auth == "" {
		return c, nil
	}
	plain, err := base64.StdEncoding.DecodeString(e.Auth)
	if err != nil {
		return c, errors.New(`"auth" is not base64`)
	}
	user, password, ok := strings.Cut(strings.TrimRight(string(plain), "\x00"), ":")
	if !ok || user == "" {
		return c, errors.New(`"auth" does not hold user:password`)
	}
	c.Username, c.Password = user, password
	return c, nil
}

// cleanKey strips what older tools wrote around the registry's name.
func cleanKey(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	key = strings.TrimSuffix(key, "/")
	for _, version := range []string{"/v1", "/v2"} {
		key = strings.TrimSuffix(key, version)
	}
	host, rest, below := strings.Cut(key, "/")
	switch host {
	case "docker.io", "registry-1.docker.io":
		host = name.DefaultRegistry
	}
	if below {
		return host + "/" + rest
	}
	return host
}

// Resolve implements authn.Keychain: the entry for the longest part of the
// repository's path wins, as podman has it.
func (a *authFile) Resolve(target authn.Resource) (authn.Authenticator, error) {
	for key := target.String(); key != "." && key != "/"; key = path.Dir(key) {
		if entry, ok := a.entries[key]; ok && entry != (authEntry{}) {
			c, err := entry.config()
			if err != nil {
				return nil, err
			}
			return authn.FromConfig(c), nil
		}
		if _, ok := a.helpers[key]; ok {
			return nil, hint.Wrap(fmt.Errorf("the credentials file %q leaves %q to a credential helper", a.path, key),
				"log in with podman login --authfile, which writes the credentials themselves")
		}
	}
	return authn.Anonymous, nil
}
