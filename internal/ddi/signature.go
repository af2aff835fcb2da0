package ddi

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxSignature is the largest signature partition in bytes that systemd reads.
const maxSignature = 4 << 20

var (
	// ErrUnsigned is returned for an image without a signature partition.
	ErrUnsigned = errors.New("no signature partition")
	// ErrDeferred is returned for an image with room for a signature, but none in it.
	ErrDeferred = errors.New("signature partition is empty: the signature was deferred")
)

// Signature is the content of a signature partition: a signature of the root
// hash's 64 lower-case hexadecimal digits.
type Signature struct {
	RootHash RootHash
	// Fingerprint is the SHA-256 of the signer's certificate in DER form. It is
	// zero where the image doesn't tell; nothing may be concluded from it.
	Fingerprint [32]byte
	PKCS7       []byte // DER
}

// SignedText returns what a signature of root is made over: its hexadecimal
// digits, without a newline.
func SignedText(root RootHash) []byte { return hex.AppendEncode(nil, root[:]) }

// NewSignature returns the signature pkcs7 of root as the holder of
// certificate made it. It checks nothing.
func NewSignature(root RootHash, certificate *x509.Certificate, pkcs7 []byte) *Signature {
	return &Signature{RootHash: root, Fingerprint: sha256.Sum256(certificate.Raw), PKCS7: pkcs7}
}

// signatureText is the JSON form. The order of the keys is systemd-repart's.
type signatureText struct {
	RootHash    string `json:"rootHash"`
	Fingerprint string `json:"certificateFingerprint,omitempty"`
	Signature   string `json:"signature"`
}

// Marshal returns the JSON text without the NULs that follow it in the partition.
func (s *Signature) Marshal() ([]byte, error) {
	text := signatureText{
		RootHash:  hex.EncodeToString(s.RootHash[:]),
		Signature: base64.StdEncoding.EncodeToString(s.PKCS7),
	}
	if s.Fingerprint != [32]byte{} {
		text.Fingerprint = hex.EncodeToString(s.Fingerprint[:])
	}
	b, err := json.Marshal(text)
	if err != nil {
		return nil, fmt.Errorf("encoding signature: %w", err)
	}
	if len(s.PKCS7) == 0 || len(b) > maxSignature {
		return nil, fmt.Errorf("encoding signature: %d bytes of PKCS#7", len(s.PKCS7))
	}
	return b, nil
}

// room returns the content of a signature partition for s, which must sign
// root. A nil s gives an empty one.
func (s *Signature) room(root RootHash) ([]byte, error) {
	if s == nil {
		return make([]byte, SignatureRoom), nil
	}
	if s.RootHash != root {
		return nil, fmt.Errorf("signature is for root hash %x, the image has %x", s.RootHash, root)
	}
	text, err := s.Marshal()
	if err != nil {
		return nil, err
	}
	return append(text, make([]byte, max(SignatureRoom, roundUp(int64(len(text))))-int64(len(text)))...), nil
}

// ParseSignature reads the content of a whole signature partition. The text
// ends with the first NUL, and only NULs may follow. Unknown keys are passed
// over, as the specification wants; a key that comes twice is refused, since
// two readers could choose differently. Nothing but NULs is ErrDeferred.
func ParseSignature(b []byte) (*Signature, error) {
	if len(b) > maxSignature {
		return nil, fmt.Errorf("parsing signature partition: %d bytes, at most %d are allowed", len(b), maxSignature)
	}
	text, rest, _ := bytes.Cut(b, []byte{0})
	if slices.ContainsFunc(rest, func(c byte) bool { return c != 0 }) {
		return nil, errors.New("parsing signature partition: bytes after the text's end")
	}
	if len(text) == 0 {
		return nil, ErrDeferred
	}
	values, err := parseObject(text)
	if err != nil {
		return nil, fmt.Errorf("parsing signature partition: %w", err)
	}
	s := &Signature{}
	if err := decodeHash(s.RootHash[:], values, "rootHash"); err != nil {
		return nil, fmt.Errorf("parsing signature partition: %w", err)
	}
	if _, given := values["certificateFingerprint"]; given {
		if err := decodeHash(s.Fingerprint[:], values, "certificateFingerprint"); err != nil {
			return nil, fmt.Errorf("parsing signature partition: %w", err)
		}
	}
	// The decoder passes over line breaks, which have no place here.
	der, err := base64.StdEncoding.Strict().DecodeString(values["signature"])
	if err != nil || len(der) == 0 || base64.StdEncoding.EncodedLen(len(der)) != len(values["signature"]) {
		return nil, errors.New("parsing signature partition: signature is not base64")
	}
	s.PKCS7 = der
	return s, nil
}

// parseObject reads one JSON object and returns those of its values that are
// known. Their keys must be spelt exactly, which encoding/json alone doesn't ask.
func parseObject(text []byte) (map[string]string, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("text is not a JSON object")
	}
	seen, values := map[string]bool{}, map[string]string{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		if seen[key] {
			return nil, fmt.Errorf("key %q comes twice", key)
		}
		seen[key] = true
		var value any = &json.RawMessage{}
		var s *string
		switch key {
		case "rootHash", "certificateFingerprint", "signature":
			value = &s
		}
		if err := d.Decode(value); err != nil {
			return nil, fmt.Errorf("value of %q: %w", key, err)
		}
		if s != nil {
			values[key] = *s
		}
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text goes on after the JSON object")
	}
	return values, nil
}

// decodeHash reads lower-case hexadecimal digits, the form that is signed.
func decodeHash(dst []byte, values map[string]string, key string) error {
	b, err := hex.DecodeString(values[key])
	if err != nil || len(b) != len(dst) {
		return fmt.Errorf("%s is not %d hexadecimal digits", key, 2*len(dst))
	}
	if hex.EncodeToString(b) != values[key] {
		return fmt.Errorf("%s is not in lower case", key)
	}
	copy(dst, b)
	return nil
}
