package source

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Digest names content by its SHA-256: "sha256:" and 64 lower-case hex
// digits. The zero value means that the content's digest is not known.
type Digest string

const digestPrefix = "sha256:"

// ParseDigest checks s. Other algorithms than SHA-256 are refused: no tool in
// use writes them, and each one is one more way to be fooled.
func ParseDigest(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, digestPrefix)
	if !ok {
		return "", fmt.Errorf("digest %q is not of the form sha256:HEX", clip(s))
	}
	sum, err := hex.DecodeString(digits)
	if err != nil || len(sum) != sha256.Size || strings.ToLower(digits) != digits {
		return "", fmt.Errorf("digest %q does not hold 64 lower-case hex digits", clip(s))
	}
	return Digest(s), nil
}

// Hex returns the digits without the algorithm.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestPrefix) }

// Short returns enough of the digest to tell layers apart in a message.
func (d Digest) Short() string {
	if len(d) < len(digestPrefix)+12 {
		return string(d)
	}
	return string(d[:len(digestPrefix)+12])
}

func digestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest(digestPrefix + hex.EncodeToString(sum[:]))
}

// MismatchError tells that content is not what its digest promised.
type MismatchError struct {
	What      string // what was read, for people
	Want, Got Digest
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s has the digest %s, not %s", e.What, e.Got, e.Want)
}

// clip keeps hostile text from filling a message.
func clip(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
