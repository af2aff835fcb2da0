package secureboot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/hint"
	"inlay/internal/keys"
)

// SetOptions says what CreateSet makes.
type SetOptions struct {
	Name string // the certificates' common names are Name-PK and so on
	Dir  string // made with mode 0700 if absent
	// Algorithm of PK, KEK and db: one of keys.FirmwareAlgorithms, RSA 2048 if
	// empty.
	Algorithm keys.Algorithm
	// ExtensionKey, if not empty, is the algorithm of one more key, which signs
	// extensions and is in none of the lists.
	ExtensionKey keys.Algorithm
	// ExtensionOnly leaves everything out but the key for extensions.
	ExtensionOnly bool
	Days          int // keys.DefaultDays if zero
	// CA issues the certificates; without one each key signs its own.
	CA *keys.Pair
	// Custom is a folder with the files db and KEK, as firmware exports them, and
	// Microsoft one with certificates in folders of these names: see [readFolder].
	// What they hold goes into the lists.
	Custom, Microsoft string
	Force             bool // replace existing files
	// Clock gives the start of validity and the times of the updates; nil is
	// time.Now.
	Clock func() time.Time
	// Rand gives serial numbers and the owner's GUID; nil is crypto/rand.
	Rand io.Reader
}

// SetResult is what CreateSet made.
type SetResult struct {
	Files []string
	// Owner is the GUID that the set's own entries have in the lists.
	Owner guid.GUID
	Lists []ListCount // of PK, KEK and db; empty if only the extension key was made
	// Warnings are about what may be a mistake, Notes about what to know.
	Warnings, Notes []string
}

// ListCount says how many entries a variable's lists have, and how many of these
// are others' and not the set's own.
type ListCount struct {
	Variable                     string
	Certificates, Hashes, Others int
}

// CreateSet makes a set of keys for Secure Boot: for PK, KEK and db the key, the
// certificate in PEM and DER, the signature lists (.esl) and the update of the
// firmware's variable (.auth); the key of TPM policies; and a key for extensions,
// if asked for. PK.auth and KEK.auth are signed by PK, db.auth by KEK. The files
// appear as keys.Install has it; PK.pem and db.pem are among the last.
func CreateSet(ctx context.Context, o SetOptions) (*SetResult, error) {
	r, err := createSet(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("creating keys in %q: %w", o.Dir, err)
	}
	return r, nil
}

// Check says whether CreateSet would take o, before it touches any file.
func (o SetOptions) Check() error { return o.complete() }

func (o *SetOptions) complete() error {
	if o.Dir == "" {
		return hint.Wrap(errors.New("no folder is named"), "name the folder for the keys and certificates")
	}
	if o.ExtensionOnly {
		if o.Custom != "" || o.Microsoft != "" {
			return hint.Wrap(errors.New("the key for extensions goes into no signature list, and neither do others' certificates"),
				"leave these certificates to the set of platform keys")
		}
	} else {
		o.Algorithm = keys.Algorithm(strings.ToLower(string(o.Algorithm)))
		if slices.Contains(keys.Algorithms(), o.Algorithm) && !slices.Contains(keys.FirmwareAlgorithms(), o.Algorithm) {
			return hint.Wrap(fmt.Errorf("firmware takes no %s key for PK, KEK or db", o.Algorithm),
				"choose rsa2048, rsa3072 or rsa4096; a key for extensions alone may be of any kind: --extension-key "+string(o.Algorithm))
		}
		if err := o.member(namePK, o.Algorithm).Check(); err != nil {
			return err
		}
	}
	if o.ExtensionOnly || o.ExtensionKey != "" {
		if err := o.member(nameExtension, o.ExtensionKey).Check(); err != nil {
			return err
		}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return nil
}

func (o *SetOptions) member(role string, a keys.Algorithm) keys.Options {
	return keys.Options{Name: o.Name, Role: role, Algorithm: a, Days: o.Days, Issuer: o.CA, Clock: o.Clock, Rand: o.Rand}
}

func createSet(ctx context.Context, o SetOptions) (*SetResult, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	roles, algorithms := o.roles()
	if err := keys.CheckAbsent(o.Dir, o.names(), o.Force); err != nil {
		return nil, err
	}
	owner, err := newOwner(o.Rand)
	if err != nil {
		return nil, err
	}
	others, err := readOthers(o.Custom, o.Microsoft, owner)
	if err != nil {
		return nil, err
	}
	// The moment of the run: a clock may move while RSA keys are made.
	now := o.Clock().UTC().Truncate(time.Second)
	o.Clock = func() time.Time { return now }
	signers, err := generate(ctx, algorithms)
	if err != nil {
		return nil, err
	}
	pairs := make(map[string]keys.Pair)
	for i, role := range roles {
		if role == pcrKeyFile {
			continue
		}
		member := o.member(role, algorithms[i])
		member.Signer = signers[i]
		if pairs[role], err = keys.New(member); err != nil {
			return nil, err
		}
	}
	r := &SetResult{Owner: owner, Warnings: o.warnings()}
	files, err := r.platformFiles(o, pairs, others)
	if err != nil {
		return nil, err
	}
	if text := extensionStarts(pairs[nameExtension].Certificate, certificates(others[nameDB])); text != "" {
		r.Warnings = append(r.Warnings, text)
	}
	for i, role := range roles {
		secret := keys.File{Name: role, Secret: true}
		if role != pcrKeyFile {
			secret.Name += ".key"
			files = append(files, keys.File{Name: role + ".pem", Data: keys.EncodeCertificate(pairs[role].Certificate)})
		}
		if secret.Data, err = keys.EncodeKey(signers[i]); err != nil {
			return nil, err
		}
		files = append(files, secret)
	}
	slices.SortStableFunc(files, func(a, b keys.File) int { return rank(a) - rank(b) })
	if r.Files, err = keys.Install(o.Dir, o.Force, files); err != nil {
		return nil, err
	}
	return r, nil
}

// rank puts secrets first, and certificates in PEM last.
func rank(f keys.File) int {
	switch {
	case f.Secret:
		return 0
	case filepath.Ext(f.Name) == ".pem":
		return 2
	default:
		return 1
	}
}

// platformFiles makes the certificates, lists and updates of PK, KEK and db.
func (r *SetResult) platformFiles(o SetOptions, pairs map[string]keys.Pair, others map[string][]efi.List) ([]keys.File, error) {
	if o.ExtensionOnly {
		return nil, nil
	}
	var files []keys.File
	when := after(o.Clock(), o.Dir)
	for i, name := range platform() {
		own := efi.List{Type: efi.X509(), Entries: []efi.Entry{{Owner: r.Owner, Data: pairs[name].Certificate.Raw}}}
		lists := append([]efi.List{own}, others[name]...)
		by := pairs[namePK]
		if name == nameDB {
			by = pairs[nameKEK]
		}
		update, err := NewUpdate(name, lists, by, UpdateOptions{Time: when.Add(time.Duration(i) * time.Second)})
		if err != nil {
			return nil, err
		}
		files = append(files,
			keys.File{Name: name + ".der", Data: pairs[name].Certificate.Raw},
			keys.File{Name: name + ".esl", Data: marshal(lists)},
			keys.File{Name: name + ".auth", Data: update.Marshal()})
		r.Lists = append(r.Lists, countLists(name, lists))
	}
	r.remark(others)
	return files, nil
}
