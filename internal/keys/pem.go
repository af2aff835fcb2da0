package keys

import (
	"encoding/pem"
	"errors"
	"strings"

	"inlay/internal/hint"
)

// The types of PEM blocks that matter here.
const (
	typeCertificate = "CERTIFICATE"
	typePKCS8       = "PRIVATE KEY"
	typePKCS1       = "RSA PRIVATE KEY"
	typeSEC1        = "EC PRIVATE KEY"
	typeEncrypted   = "ENCRYPTED PRIVATE KEY"
	typeECParams    = "EC PARAMETERS"
)

// decodePEM returns the blocks of a PEM file, at least one. Text around them is
// allowed (RFC 7468 section 2; openssl x509 -text writes it), a block cut off or
// damaged is not.
func decodePEM(data []byte) ([]*pem.Block, error) {
	if len(data) == 0 {
		return nil, errors.New("it is empty")
	}
	begins := strings.Count("\n"+string(data), "\n-----BEGIN ")
	var blocks []*pem.Block
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		blocks = append(blocks, block)
	}
	switch {
	case len(blocks) < begins:
		return nil, errors.New("it holds a damaged PEM block")
	case len(blocks) > 0:
		return blocks, nil
	case isDER(data):
		return nil, hint.Wrap(errors.New("it is DER, not PEM"),
			"convert it with openssl x509 (a certificate) or openssl pkey (a key): -inform der -in FILE -out NEW")
	default:
		return nil, errors.New("it holds no PEM block")
	}
}

// isDER says whether data looks like the sequence that keys and certificates
// are in DER: good enough for advice.
func isDER(data []byte) bool {
	return len(data) > 2 && data[0] == 0x30 && data[1]&0x80 != 0
}

func isPrivate(blockType string) bool {
	return strings.HasSuffix(blockType, "PRIVATE KEY")
}

// shortType bounds what an error quotes of a stranger's file.
func shortType(blockType string) string {
	const longest = 40
	if len(blockType) > longest {
		return blockType[:longest] + "…"
	}
	return blockType
}
