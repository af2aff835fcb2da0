package secureboot

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"inlay/internal/efi"
	"inlay/internal/guid"
)

// maxPrograms bounds how many programs of a folder are revoked: more would not fit
// into any firmware's dbx.
const maxPrograms = 1000

// RevokeOptions says how revocations are written.
type RevokeOptions struct {
	// Owner is who revokes, by his own account.
	Owner guid.GUID
	// ByHash revokes certificates by the SHA-256 of what is signed in them, in 64
	// bytes instead of some 900; some firmware has little room. Firmware since UEFI
	// 2.4, Linux and this program heed both forms. Older firmware and shim heed
	// whole certificates only, which is why those are the default.
	ByHash bool
}

// RevokeLists returns the lists of dbx that revoke certificates, with all that
// they have issued, and programs by their SHA-256 digest ([ProgramDigest]). What is
// named twice is revoked once. The lists are to be appended: see [NewUpdate].
func RevokeLists(certs []*x509.Certificate, programs [][32]byte, o RevokeOptions) ([]efi.List, error) {
	if len(certs)+len(programs) == 0 {
		return nil, errors.New("revoking: nothing is named")
	}
	var lists []efi.List
	hashes, digests := efi.List{Type: efi.X509SHA256()}, efi.List{Type: efi.SHA256()}
	for i, cert := range certs {
		switch {
		case len(cert.Raw) == 0:
			return nil, errors.New("revoking: a certificate is empty")
		case slices.ContainsFunc(certs[:i], cert.Equal):
		case o.ByHash:
			tbs := sha256.Sum256(cert.RawTBSCertificate)
			// A time of zeros: it was never good, whatever it has signed when.
			add(&hashes, o.Owner, append(tbs[:], make([]byte, 16)...))
		default:
			// A list each, also for two of one length: old shims look at the first
			// entry of a list only.
			lists = append(lists, efi.List{Type: efi.X509(), Entries: []efi.Entry{{Owner: o.Owner, Data: cert.Raw}}})
		}
	}
	for _, digest := range programs {
		add(&digests, o.Owner, digest[:])
	}
	lists = append(lists, hashes, digests)
	return slices.DeleteFunc(lists, func(l efi.List) bool { return len(l.Entries) == 0 }), nil
}

// add adds an entry, unless it is there.
func add(l *efi.List, owner guid.GUID, data []byte) {
	if !slices.ContainsFunc(l.Entries, func(e efi.Entry) bool { return bytes.Equal(e.Data, data) }) {
		l.Entries = append(l.Entries, efi.Entry{Owner: owner, Data: data})
	}
}

// ProgramFile is an EFI program in a folder.
type ProgramFile struct {
	// Name is its path below the folder.
	Name string
	// Digest is its [ProgramDigest].
	Digest [32]byte
}

// DigestPrograms returns the EFI programs of a folder, such as a mounted ESP, in
// the order of their names: all regular files called *.efi, in either case. One
// that is no program is an error. Links are not followed.
func DigestPrograms(folder fs.FS) ([]ProgramFile, error) {
	var programs []ProgramFile
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.Type().IsRegular() || !strings.EqualFold(path.Ext(name), ".efi"):
			return nil
		case len(programs) == maxPrograms:
			return fmt.Errorf("more than %d EFI programs", maxPrograms)
		}
		digest, err := digestFile(folder, name)
		if err != nil {
			return fmt.Errorf("reading %q: %w", name, err)
		}
		programs = append(programs, ProgramFile{name, digest})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for EFI programs: %w", err)
	}
	return programs, nil
}

func digestFile(folder fs.FS, name string) ([32]byte, error) {
	f, err := folder.Open(name)
	if err != nil {
		return [32]byte{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return [32]byte{}, err
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		return [32]byte{}, errors.New("it cannot be read from any place")
	}
	return ProgramDigest(r, info.Size())
}
