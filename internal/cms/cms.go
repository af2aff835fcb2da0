// Package cms writes and reads the three forms of PKCS #7 SignedData (RFC 2315,
// RFC 5652) that a signed system knows, in DER, with one signer named by issuer
// and serial number:
//
//   - [Sign] and [Parse]: that of dm-verity. It is detached and has no attributes,
//     so that the signature is straight over the digest of the content. systemd
//     writes it with PKCS7_sign(DETACHED|NOATTR|BINARY); its own verifier and the
//     kernel's read it.
//   - [SignBare] and [ParseBare]: that of updates of firmware variables (UEFI 2.10,
//     section 8.2.2), which is the same without the ContentInfo around it.
//   - [SignImage] and [ParseImage]: that of EFI programs, Authenticode, whose
//     content is the program's digest and whose signature is over attributes.
//
// Left out on purpose: attributes where they have no business, attached content
// other than Authenticode's, revocation lists, several signers, signers named by
// key identifier, RSA-PSS, EdDSA, BER. A message that has any of them is refused,
// not half understood: nothing that signs here needs them, and each has served to
// make two verifiers read one message differently. Time stamps on programs are
// passed over, not checked. Trust is not decided here either: certificates inside
// a message are claims, and [SignedData.Verify] takes the key to check with from
// its caller.
package cms

import (
	"crypto"
	_ "crypto/sha256" // the digests that a message may name
	_ "crypto/sha512"
	"encoding/asn1"
)

// The object identifiers come from functions, since Go has no constant slices.
func oidData() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1} }

func oidSignedData() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2} }

func oidRSA() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1} }

// scheme is the kind of key that a signature algorithm asks for.
type scheme int

const (
	schemeRSA   scheme = iota + 1 // PKCS #1 v1.5
	schemeECDSA                   // ASN.1 DER of r and s
)

func (s scheme) String() string {
	switch s {
	case schemeRSA:
		return "RSA"
	case schemeECDSA:
		return "ECDSA"
	default:
		return "unknown"
	}
}

// digest is a hash function with the identifiers that name it, alone and joined
// with a signature scheme.
type digest struct {
	hash      crypto.Hash
	oid       asn1.ObjectIdentifier
	withRSA   asn1.ObjectIdentifier
	withECDSA asn1.ObjectIdentifier
}

// digests are the hash functions that a message may use; the first one is what
// [Sign] uses, whatever the key, as systemd does.
func digests() []digest {
	return []digest{
		{
			hash:      crypto.SHA256,
			oid:       asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1},
			withRSA:   asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11},
			withECDSA: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2},
		},
		{
			hash:      crypto.SHA384,
			oid:       asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2},
			withRSA:   asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12},
			withECDSA: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3},
		},
		{
			hash:      crypto.SHA512,
			oid:       asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3},
			withRSA:   asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13},
			withECDSA: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4},
		},
	}
}
