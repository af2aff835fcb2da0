// Package pcr foretells what a TPM's PCR 11 holds once systemd-stub (257) has
// started a unified kernel image, and signs policies for it: the .pcrsig section,
// as systemd-measure writes it (UAPI.5, "Unified Kernel Image"; systemd-stub(7),
// systemd-measure(1); TPM 2.0 library, part 3, TPM2_PolicyPCR).
//
// The stub measures sections in an order of its own, whatever their order in the
// file: the name with its NUL, then the bytes as loaded, which are VirtualSize
// many and without the file's padding. Later, words are measured as the system
// reaches phases of its boot.
//
// Left out on purpose: what else is measured, into PCR 12 and 13 (command lines
// from outside, credentials, extensions that the stub hands over); .dtbauto,
// which the stub chooses by the board; SM3 and SHA-3, which systemd-measure has
// not; keys other than RSA, as systemd takes no others for these policies.
package pcr

import (
	"crypto"
	"crypto/sha1" // TPMs have such a bank, and systemd measures into it
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// Index is the number of the PCR that the stub measures the image into.
const Index = 11

// Bank is one of the sets of PCRs of a TPM, by its hash: "sha256". It measures
// and is named by that hash.
type Bank string

// The banks that systemd knows.
const (
	SHA1   Bank = "sha1"
	SHA256 Bank = "sha256"
	SHA384 Bank = "sha384"
	SHA512 Bank = "sha512"
)

// Banks returns all banks, in the order that .pcrsig has them.
func Banks() []Bank { return []Bank{SHA1, SHA256, SHA384, SHA512} }

// Size returns the length of the bank's values in bytes, 0 of a bank that is
// not known.
func (b Bank) Size() int {
	if !b.known() {
		return 0
	}
	return b.hash().Size()
}

func (b Bank) known() bool { return slices.Contains(Banks(), b) }

// hash returns the hash of a known bank.
func (b Bank) hash() crypto.Hash {
	switch b {
	case SHA1:
		return crypto.SHA1
	case SHA384:
		return crypto.SHA384
	case SHA512:
		return crypto.SHA512
	default:
		return crypto.SHA256
	}
}

func (b Bank) newHash() hash.Hash {
	switch b {
	case SHA1:
		return sha1.New()
	case SHA384:
		return sha512.New384()
	case SHA512:
		return sha512.New()
	default:
		return sha256.New()
	}
}

// algorithm returns the bank's number in the TPM's registry (TPM_ALG_ID).
func (b Bank) algorithm() uint16 {
	switch b {
	case SHA1:
		return 0x0004
	case SHA384:
		return 0x000c
	case SHA512:
		return 0x000d
	default:
		return 0x000b
	}
}

// sum returns the bank's hash over the parts in a row.
func (b Bank) sum(parts ...[]byte) []byte {
	h := b.newHash()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

// complete returns all banks for none, and otherwise banks sorted and without
// repetitions.
func complete(banks []Bank) ([]Bank, error) {
	if len(banks) == 0 {
		return Banks(), nil
	}
	for _, b := range banks {
		if !b.known() {
			return nil, fmt.Errorf("bank %q is not known: there are %q", b, Banks())
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(banks))), nil
}

// Phases returns the phase paths that policies are signed for unless asked
// otherwise: the whole boot, from the initrd's start to a system that is up.
func Phases() []string {
	return []string{
		"enter-initrd", "enter-initrd:leave-initrd", "enter-initrd:leave-initrd:sysinit",
		"enter-initrd:leave-initrd:sysinit:ready",
	}
}

// words splits a phase path at its colons.
func words(path string) []string {
	return slices.DeleteFunc(strings.Split(path, ":"), func(word string) bool { return word == "" })
}

// Extend returns value after what hashes to digest was measured.
func (b Bank) Extend(value, digest []byte) []byte { return b.sum(value, digest) }

// Enter returns value after the system has reached all phases of path, such as
// "enter-initrd:leave-initrd"; ":" is the time before any.
func (b Bank) Enter(value []byte, path string) []byte {
	for _, word := range words(path) {
		value = b.Extend(value, b.sum([]byte(word)))
	}
	return value
}
