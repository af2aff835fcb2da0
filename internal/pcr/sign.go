package pcr

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"inlay/internal/hint"
)

// policyPCR is the number of the command TPM2_PolicyPCR.
const policyPCR = 0x0000017f

// Policy returns the digest of the policy that wants the bank's PCR 11 to hold
// value, in a session with SHA-256.
func (b Bank) Policy(value []byte) []byte {
	values := sha256.Sum256(value)
	policy := make([]byte, sha256.Size, 96) // of a policy that wants nothing
	policy = binary.BigEndian.AppendUint32(policy, policyPCR)
	policy = binary.BigEndian.AppendUint32(policy, 1) // one selection: of this bank
	policy = binary.BigEndian.AppendUint16(policy, b.algorithm())
	policy = append(policy, 3, 0, 1<<(Index-8), 0) // three bytes of bits, one for each PCR
	policy = append(policy, values[:]...)
	digest := sha256.Sum256(policy)
	return digest[:]
}

// SignOptions says what is signed for; the zero value is systemd's default.
type SignOptions struct {
	Banks  []Bank   // none: all
	Phases []string // phase paths; none: those of Phases
}

// complete fills in what is left open.
func (o *SignOptions) complete() error {
	banks, err := complete(o.Banks)
	if err != nil {
		return err
	}
	phases := o.Phases
	if len(phases) == 0 {
		phases = Phases()
	}
	for _, path := range phases {
		if strings.ContainsFunc(path, func(c rune) bool { return c != '-' && c != ':' && (c < 'a' || c > 'z') && (c < '0' || c > '9') }) {
			return hint.Wrap(fmt.Errorf("phase path %q is not one", path), "give words with colons between them, such as enter-initrd:leave-initrd")
		}
	}
	o.Banks, o.Phases = banks, slices.Compact(slices.Sorted(slices.Values(phases)))
	return nil
}

// Sign signs a policy for each bank and phase path, for an image of the sections
// given (of one profile), and returns the content of .pcrsig. The key is RSA.
// Banks of SHA-1 are signed with SHA-1: that is what systemd has the TPM check.
func Sign(key crypto.Signer, sections []Section, o SignOptions) ([]byte, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("signing policies for PCR %d: %w", Index, err)
	}
	public, err := publicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("signing policies for PCR %d: %w", Index, err)
	}
	all := make(map[Bank][]entry, len(o.Banks))
	for _, b := range o.Banks {
		start, err := b.Measure(sections)
		if err != nil {
			return nil, err
		}
		for _, path := range o.Phases {
			e, err := sign(key, public, b, b.Policy(b.Enter(start, path)))
			if err != nil {
				return nil, fmt.Errorf("signing the policy for %s, phase %q: %w", b, path, err)
			}
			all[b] = append(all[b], e)
		}
	}
	text, err := json.Marshal(all) // banks sorted by name, no spaces: as systemd-measure has it
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

// sign has one policy signed and believes no signer without a look.
func sign(key crypto.Signer, public *rsa.PublicKey, b Bank, policy []byte) (entry, error) {
	digest := b.sum(policy)
	signature, err := key.Sign(rand.Reader, digest, b.hash())
	if err != nil {
		return entry{}, err
	}
	if err := rsa.VerifyPKCS1v15(public, b.hash(), digest, signature); err != nil {
		return entry{}, fmt.Errorf("the signer's answer does not verify: %w", err)
	}
	return entry{
		PCRs: []int{Index}, Fingerprint: hex.EncodeToString(fingerprint(public)),
		Policy: hex.EncodeToString(policy), Signature: base64.StdEncoding.EncodeToString(signature),
	}, nil
}

// PublicPEM returns the content of .pcrpkey: the public key of Sign's.
func PublicPEM(key crypto.PublicKey) ([]byte, error) {
	public, err := publicKey(key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encoding the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// publicKey takes what TPMs and systemd take.
func publicKey(key crypto.PublicKey) (*rsa.PublicKey, error) {
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, hint.Wrap(fmt.Errorf("a key of type %T cannot sign for a TPM's PCR", key), "use an RSA key, as openssl genrsa 2048 makes it")
	}
	// TPMs need not verify longer ones; shorter ones are no protection.
	if bits := public.N.BitLen(); bits < 2048 {
		return nil, hint.Wrap(fmt.Errorf("an RSA key of %d bits is too short", bits), "use one of 2048 bits")
	}
	return public, nil
}

// fingerprint is of the key itself, without the algorithm around it.
func fingerprint(key *rsa.PublicKey) []byte {
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(key))
	return sum[:]
}

var errMismatch = errors.New("it is not that of the key and the policy")
