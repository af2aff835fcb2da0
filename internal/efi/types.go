package efi

import "inlay/internal/guid"

// The types of signature lists, in the words of UEFI 2.10, section 32.4.1.
const (
	typeSHA1          = "826ca512-cf10-4ac9-b187-be01496631bd"
	typeSHA224        = "0b6e5233-a65c-44c9-9407-d9ab83bfc8bd"
	typeSHA256        = "c1c41626-504c-4092-aca9-41f936934328"
	typeSHA384        = "ff3e5307-9fd0-48c9-85f1-8ad56c701e01"
	typeSHA512        = "093e0fae-a6c4-4f50-9f1b-d41e2b89c19a"
	typeRSA2048       = "3c5766e8-269c-4e34-aa14-ed776e85b3b6"
	typeRSA2048SHA1   = "67f8444f-8743-48f1-a328-1eaab8736080"
	typeRSA2048SHA256 = "e2b36190-879b-4a3d-ad8d-f2e7bba32784"
	typeX509          = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072"
	typeX509SHA256    = "3bd2a492-96c0-4079-b420-fcf98ef103ed"
	typeX509SHA384    = "7076876e-80c2-4ee6-aad2-28b349a6865b"
	typeX509SHA512    = "446dbf63-2502-4cda-bcfa-2465d2b0fe9d"
)

// X509 returns the type of lists whose entries are certificates in DER.
func X509() guid.GUID { return known(typeX509) }

// SHA256 returns the type of lists whose entries are SHA-256 hashes of PE files
// (Authenticode). Such a hash says nothing about a certificate.
func SHA256() guid.GUID { return known(typeSHA256) }

// SHA384 is as SHA256 with SHA-384.
func SHA384() guid.GUID { return known(typeSHA384) }

// SHA512 is as SHA256 with SHA-512.
func SHA512() guid.GUID { return known(typeSHA512) }

// X509SHA256 returns the type of lists that revoke certificates by the SHA-256
// of their TBSCertificate: see [Revocation].
func X509SHA256() guid.GUID { return known(typeX509SHA256) }

// X509SHA384 is as X509SHA256 with SHA-384.
func X509SHA384() guid.GUID { return known(typeX509SHA384) }

// X509SHA512 is as X509SHA256 with SHA-512.
func X509SHA512() guid.GUID { return known(typeX509SHA512) }

// TypeName returns the specification's word for the type of a list in lower
// case ("x509", "sha256", "x509_sha256"), and the GUID of one it doesn't know.
func TypeName(g guid.GUID) string {
	if name, _ := describe(g); name != "" {
		return name
	}
	return g.String()
}

// describe returns the name of a type and how many bytes of data its entries
// hold: 0 if that is open. The name is "" for an unknown type.
func describe(g guid.GUID) (name string, size int) {
	switch g.String() {
	case typeSHA1:
		return "sha1", 20
	case typeSHA224:
		return "sha224", 28
	case typeSHA256:
		return "sha256", 32
	case typeSHA384:
		return "sha384", 48
	case typeSHA512:
		return "sha512", 64
	case typeRSA2048:
		return "rsa2048", 256
	case typeRSA2048SHA1:
		return "rsa2048_sha1", 256
	case typeRSA2048SHA256:
		return "rsa2048_sha256", 256
	case typeX509:
		return "x509", 0
	case typeX509SHA256:
		return "x509_sha256", 32 + timeSize
	case typeX509SHA384:
		return "x509_sha384", 48 + timeSize
	case typeX509SHA512:
		return "x509_sha512", 64 + timeSize
	}
	return "", 0
}
