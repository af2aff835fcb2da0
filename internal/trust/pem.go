package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// maxFaults bounds how many faults of one file are told.
const maxFaults = 8

// parsePEM reads all certificates in text, and says what else is there that
// should not be. Text around the blocks is comment, as everywhere.
func parsePEM(text []byte) (certs []*x509.Certificate, faults []string) {
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return nil, []string{"empty: no certificate in it"}
	case !bytes.Contains(text, []byte("-----BEGIN")):
		if _, err := x509.ParseCertificate(text); err == nil {
			return nil, []string{"a certificate in DER, which systemd does not read: convert it to PEM with openssl x509 -inform der -in FILE -out FILE"}
		}
		return nil, []string{"no certificate in PEM in it"}
	case bytes.Contains(text, []byte("PRIVATE KEY-----")):
		// Whoever can read the list of whom to trust could sign.
		return nil, []string{"a private key is in it, so nothing of it is used: keep only the certificate there"}
	}
	blocks := 0
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		blocks++
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				faults = append(faults, fmt.Sprintf("block %d is no certificate: %v", blocks, err))
				continue
			}
			certs = append(certs, cert)
		default:
			faults = append(faults, fmt.Sprintf("block %d is a %s, not a certificate", blocks, strings.ToLower(block.Type)))
		}
	}
	if begun := bytes.Count(text, []byte("-----BEGIN")); begun > blocks {
		faults = append(faults, fmt.Sprintf("%d of %d blocks are broken", begun-blocks, begun))
	}
	if more := len(faults) - maxFaults; more > 0 {
		faults = append(faults[:maxFaults], fmt.Sprintf("and %d faults more", more))
	}
	return certs, faults
}
