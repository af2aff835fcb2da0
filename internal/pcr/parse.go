package pcr

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// MaxSignatures bounds .pcrsig, in bytes: four banks and four phases take 16
	// entries of about 600 bytes each.
	MaxSignatures = 1 << 20
	// maxEntries bounds the signatures of one bank.
	maxEntries = 1024
)

// entry is one signature as .pcrsig has it, its keys in this order.
type entry struct {
	PCRs        []int  `json:"pcrs"`
	Fingerprint string `json:"pkfp"`
	Policy      string `json:"pol"`
	Signature   string `json:"sig"`
}

// Signature is one that .pcrsig holds.
type Signature struct {
	Bank        Bank
	PCRs        []int  // which PCRs the policy is about: 11
	Fingerprint []byte // SHA-256 of the public key's PKCS #1 form
	Policy      []byte // SHA-256 digest of the policy
	Signature   []byte
}

// ParseSignatures reads the content of .pcrsig, sorted by bank. Nothing is
// verified, and policies for other PCRs are read too. Banks that are not known
// here are passed over, unread. NULs may follow the text.
func ParseSignatures(text []byte) ([]Signature, error) {
	if len(text) > MaxSignatures {
		return nil, fmt.Errorf("reading signatures of PCR policies: %d bytes are too many: at most %d are accepted", len(text), MaxSignatures)
	}
	var banks map[Bank]json.RawMessage
	if err := strictly(bytes.TrimRight(text, "\x00"), &banks); err != nil {
		return nil, fmt.Errorf("reading signatures of PCR policies: %w", err)
	}
	var all []Signature
	for _, b := range Banks() {
		list, ok := banks[b]
		if !ok {
			continue
		}
		var entries []entry
		if err := strictly(list, &entries); err != nil {
			return nil, fmt.Errorf("reading signatures for bank %s: %w", b, err)
		}
		if len(entries) > maxEntries {
			return nil, fmt.Errorf("reading signatures for bank %s: %d are too many", b, len(entries))
		}
		for i, e := range entries {
			s, err := e.signature(b)
			if err != nil {
				return nil, fmt.Errorf("reading signature %d for bank %s: %w", i, b, err)
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// strictly decodes one JSON value with nothing after it.
func strictly(text []byte, value any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(value); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON text")
	}
	return nil
}

func (e entry) signature(b Bank) (Signature, error) {
	s := Signature{Bank: b, PCRs: e.PCRs}
	var err error
	if s.Fingerprint, err = digestOf(e.Fingerprint); err != nil {
		return s, fmt.Errorf("its key's fingerprint: %w", err)
	}
	if s.Policy, err = digestOf(e.Policy); err != nil {
		return s, fmt.Errorf("its policy: %w", err)
	}
	if s.Signature, err = base64.StdEncoding.DecodeString(e.Signature); err != nil {
		return s, err
	}
	if len(e.PCRs) > 24 || slices.ContainsFunc(e.PCRs, func(n int) bool { return n < 0 || n > 23 }) {
		return s, fmt.Errorf("%v are not PCRs", e.PCRs)
	}
	return s, nil
}

// digestOf reads a SHA-256 digest in hex.
func digestOf(text string) ([]byte, error) {
	digest, err := hex.DecodeString(text)
	if err == nil && len(digest) != 32 {
		err = fmt.Errorf("%d bytes are no SHA-256 digest", len(digest))
	}
	return digest, err
}

// Verify returns nil if key has signed this policy.
func (s Signature) Verify(key crypto.PublicKey) error {
	public, err := publicKey(key)
	if err != nil {
		return err
	}
	if !s.Bank.known() || !bytes.Equal(s.Fingerprint, fingerprint(public)) {
		return fmt.Errorf("verifying the signature of a PCR policy: %w", errMismatch)
	}
	if err := rsa.VerifyPKCS1v15(public, s.Bank.hash(), s.Bank.sum(s.Policy), s.Signature); err != nil {
		return fmt.Errorf("verifying the signature of a PCR policy: %w", errMismatch)
	}
	return nil
}

// Covers says whether the policy is that for PCR 11 alone holding value.
func (s Signature) Covers(value []byte) bool {
	return slices.Equal(s.PCRs, []int{Index}) && len(value) == s.Bank.Size() && bytes.Equal(s.Policy, s.Bank.Policy(value))
}
