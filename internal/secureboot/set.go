package secureboot

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"inlay/internal/hint"
	"inlay/internal/keys"
)

// The files of a set, less what follows the first dot.
const (
	namePK        = "PK"
	nameKEK       = "KEK"
	nameDB        = "db"
	nameDBX       = "dbx"
	nameExtension = "ext"
	// pcrKeyFile has the name that the Kairos documents gave it.
	pcrKeyFile = "tpm2-pcr-private.pem"
)

const setHint = "name a folder that inlay keys create or auroraboot genkey made"

// Set is a folder of Secure Boot keys, as far as it is there: who keeps PK.key
// and KEK.key in a safe has the rest on the machine that builds.
type Set struct {
	Dir string
	// PK, KEK, DB and Extension are pairs whose Certificate is nil if the set
	// has none, and whose Signer is nil if the key is kept elsewhere.
	PK, KEK, DB, Extension keys.Pair
	// PCRKey signs TPM policies; nil if the set has none. It is RSA of 2048 bits,
	// which all TPMs know.
	PCRKey crypto.Signer
	// Warnings are lines about files that do not fit the others but can be used.
	Warnings []string

	auth map[string][]byte // PK, KEK, db and perhaps dbx: their .auth files
}

// OpenSet reads a folder of keys. Files that are missing are no error until they
// are asked for; those that are there fit each other: keys their certificates,
// and certificates their signature lists. Whether the chain of signatures holds
// firmware does not ask in setup mode, so a broken one is a warning.
func OpenSet(dir string) (*Set, error) {
	s, err := openSet(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the keys in %q: %w", dir, err)
	}
	return s, nil
}

func openSet(dir string) (*Set, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, hint.Default(bare(err), setHint)
	} else if !info.IsDir() {
		return nil, hint.Wrap(errors.New("it is not a folder"), setHint)
	}
	s := &Set{Dir: dir, auth: make(map[string][]byte)}
	for _, member := range []struct {
		name string
		pair *keys.Pair
	}{{namePK, &s.PK}, {nameKEK, &s.KEK}, {nameDB, &s.DB}, {nameExtension, &s.Extension}} {
		if err := s.readPair(member.name, member.pair); err != nil {
			return nil, err
		}
	}
	if err := s.readPCRKey(); err != nil {
		return nil, err
	}
	for _, name := range []string{namePK, nameKEK, nameDB, nameDBX} {
		data, err := readFile(s.path(name + ".auth"))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("reading %q: %w", name+".auth", err)
		default:
			s.auth[name] = data
		}
	}
	if s.PK.Certificate == nil && s.KEK.Certificate == nil && s.DB.Certificate == nil &&
		s.Extension.Certificate == nil && s.PCRKey == nil && len(s.auth) == 0 {
		return nil, hint.Wrap(errors.New("no key, certificate or .auth file of a set is in it"), setHint)
	}
	return s, s.fit()
}

func (s *Set) path(name string) string { return filepath.Join(s.Dir, name) }

// readPair reads NAME.pem and NAME.key, each if it is there.
func (s *Set) readPair(name string, pair *keys.Pair) error {
	hasKey, hasCertificate := exists(s.path(name+".key")), exists(s.path(name+".pem"))
	switch {
	case hasKey && !hasCertificate:
		return hint.Wrap(fmt.Errorf("%s.key is without %s.pem, its certificate", name, name),
			"put the certificate beside the key, or make a new set")
	case hasKey:
		read, err := keys.Load(s.path(name+".key"), s.path(name+".pem"))
		if err != nil {
			return err
		}
		*pair = read
		s.warn(read.Warning)
	case hasCertificate:
		certificate, err := keys.LoadCertificate(s.path(name + ".pem"))
		if err != nil {
			return err
		}
		pair.Certificate = certificate
	}
	return nil
}

func (s *Set) readPCRKey() error {
	if !exists(s.path(pcrKeyFile)) {
		return nil
	}
	key, warning, err := keys.LoadKey(s.path(pcrKeyFile))
	if err != nil {
		return err
	}
	if public, ok := key.Public().(*rsa.PublicKey); !ok || public.N.BitLen() != 2048 {
		return hint.Wrap(fmt.Errorf("the key in %q is not RSA of 2048 bits, the one kind that all TPMs know", pcrKeyFile),
			"make one with openssl genrsa 2048")
	}
	s.PCRKey = key
	s.warn(warning)
	return nil
}

func (s *Set) warn(text string) {
	if text != "" && !slices.Contains(s.Warnings, text) {
		s.Warnings = append(s.Warnings, text)
	}
}

// Pair returns the pair "PK", "KEK", "db" or "ext" with its key, or an error
// that says what is missing.
func (s *Set) Pair(name string) (keys.Pair, error) {
	pair := *s.pair(name)
	switch {
	case pair.Certificate == nil:
		return keys.Pair{}, hint.Wrap(fmt.Errorf("%q and %q are not in %q", name+".key", name+".pem", s.Dir), setHint)
	case pair.Signer == nil:
		return keys.Pair{}, hint.Wrap(fmt.Errorf("%q is not in %q", name+".key", s.Dir), "name the folder that has the key, or put the key there for as long as it is needed")
	}
	return pair, nil
}

func (s *Set) pair(name string) *keys.Pair {
	switch name {
	case namePK:
		return &s.PK
	case nameKEK:
		return &s.KEK
	case nameDB:
		return &s.DB
	case nameExtension:
		return &s.Extension
	default:
		return &keys.Pair{}
	}
}

// Auth returns the update of the variable "PK", "KEK", "db" or "dbx", as its
// .auth file holds it.
func (s *Set) Auth(variable string) ([]byte, error) {
	data, ok := s.auth[variable]
	if !ok {
		return nil, hint.Wrap(fmt.Errorf("%q is not in %q", variable+".auth", s.Dir), setHint)
	}
	return data, nil
}

// HasAuth says whether the update of a variable is there.
func (s *Set) HasAuth(variable string) bool { return s.auth[variable] != nil }
