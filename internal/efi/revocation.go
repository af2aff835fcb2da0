package efi

import (
	"crypto"
	"fmt"
	"time"
)

// Revocation reads an entry of the types X509SHA256, X509SHA384 and X509SHA512,
// with which dbx revokes a certificate: the hash of its TBSCertificate, and
// since when; the zero time means always. Other types are an error: their hashes
// are of PE files.
//
// If the time alone is malformed, hash and tbs come with the error, so that the
// certificate can be taken for revoked all the same.
func Revocation(l List, e Entry) (hash crypto.Hash, tbs []byte, when time.Time, err error) {
	switch l.Type {
	case X509SHA256():
		hash = crypto.SHA256
	case X509SHA384():
		hash = crypto.SHA384
	case X509SHA512():
		hash = crypto.SHA512
	default:
		return 0, nil, time.Time{}, fmt.Errorf("reading a revocation: a list of type %s revokes no certificate by its hash", TypeName(l.Type))
	}
	if len(e.Data) != hash.Size()+timeSize {
		return 0, nil, time.Time{}, fmt.Errorf("reading a revocation: %d bytes in a list of type %s, want %d", len(e.Data), TypeName(l.Type), hash.Size()+timeSize)
	}
	tbs = e.Data[:hash.Size():hash.Size()]
	when, err = parseTime(e.Data[hash.Size():])
	if err != nil {
		return hash, tbs, time.Time{}, fmt.Errorf("reading a revocation: %w", err)
	}
	return hash, tbs, when, nil
}
