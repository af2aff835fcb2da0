package secureboot

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"inlay/internal/cms"
	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/keys"
	"inlay/internal/trust"
)

// RevokeOptions says how revocations are written.
type RevokeOptions struct {
	// Owner is who revokes, by his own account.
	Owner guid.GUID
	// ByHash revokes certificates by the SHA-256 of what is signed in them, in 48
	// bytes, where the whole certificate takes about 800; some firmware has room
	// for little. Firmware and the kernel heed both forms, but shim only whole
	// certificates, which is why those are the default.
	ByHash bool
}

// RevokeLists returns the lists of dbx that revoke certificates, with all that
// they have issued, and programs by their SHA-256 digest (Authenticode). What is
// named twice is revoked once. The lists are to be appended: see [NewUpdate].
func RevokeLists(certs []*x509.Certificate, programs [][32]byte, o RevokeOptions) ([]efi.List, error) {
	if len(certs)+len(programs) == 0 {
		return nil, errors.New("revoking: nothing is named")
	}
	whole := efi.List{Type: efi.X509()}
	hashes := efi.List{Type: efi.X509SHA256()}
	digests := efi.List{Type: efi.SHA256()}
	for _, cert := range certs {
		if o.ByHash {
			tbs := sha256.Sum256(cert.RawTBSCertificate)
			// 16 bytes of time, all zero: whenever something was signed.
			add(&hashes, o.Owner, append(tbs[:], make([]byte, 16)...))
		} else {
			add(&whole, o.Owner, cert.Raw)
		}
	}
	for _, digest := range programs {
		add(&digests, o.Owner, digest[:])
	}
	return slices.DeleteFunc([]efi.List{whole, hashes, digests}, func(l efi.List) bool { return len(l.Entries) == 0 }), nil
}

// add adds an entry, unless it is there.
func add(l *efi.List, owner guid.GUID, data []byte) {
	if !slices.ContainsFunc(l.Entries, func(e efi.Entry) bool { return bytes.Equal(e.Data, data) }) {
		l.Entries = append(l.Entries, efi.Entry{Owner: owner, Data: data})
	}
}

// DenyList returns a list of root hashes that count no longer, in the form that
// [trust.ParseDenyList] reads, and its detached signature: the files NAME.deny and
// NAME.deny.p7s of a node. The hashes are put in order, and each stands there once.
func DenyList(denials []trust.Denial, by keys.Pair) (text, signature []byte, err error) {
	if len(denials) == 0 {
		return nil, nil, errors.New("writing a deny list: nothing is named")
	}
	sorted := slices.SortedStableFunc(slices.Values(denials), func(a, b trust.Denial) int {
		return cmp.Or(bytes.Compare(a.Root[:], b.Root[:]), cmp.Compare(a.Reason, b.Reason))
	})
	sorted = slices.CompactFunc(sorted, func(a, b trust.Denial) bool { return a.Root == b.Root })
	var b strings.Builder
	b.WriteString("inlay deny list 1\n")
	for _, d := range sorted {
		b.WriteString(strings.TrimSpace(hex.EncodeToString(d.Root[:])+" "+d.Reason) + "\n")
	}
	text = []byte(b.String())
	// A reason may break the list, or be a line of its own.
	read, err := trust.ParseDenyList(text)
	if err != nil {
		return nil, nil, fmt.Errorf("writing a deny list: %w", err)
	}
	if !slices.EqualFunc(read, sorted, func(a, b trust.Denial) bool { return a.Root == b.Root }) {
		return nil, nil, errors.New("writing a deny list: a reason takes more than one line")
	}
	if signature, err = cms.Sign(text, by.Certificate, by.Signer); err != nil {
		return nil, nil, fmt.Errorf("writing a deny list: %w", err)
	}
	return text, signature, nil
}
