package uki

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"inlay/internal/pcr"
	"inlay/internal/pe"
)

// Measure reads the image and returns what PCR 11 will hold in each profile when
// the kernel starts, by bank (none: all).
func (im *Image) Measure(ctx context.Context, banks ...pcr.Bank) ([]Measured, error) {
	profiles, err := im.hash(ctx, banks)
	if err != nil {
		return nil, fmt.Errorf("measuring a unified kernel image: %w", err)
	}
	var all []Measured
	for i, sections := range profiles {
		m := Measured{Profile: im.Profiles[i]}
		if m.PCR, err = values(sections); err != nil {
			return nil, fmt.Errorf("measuring a unified kernel image: %w", err)
		}
		all = append(all, m)
	}
	return all, nil
}

// values returns PCR 11 in the banks that sections were hashed for.
func values(sections []pcr.Section) (map[pcr.Bank][]byte, error) {
	all := map[pcr.Bank][]byte{}
	for bank := range sections[0].Digests {
		value, err := bank.Measure(sections)
		if err != nil {
			return nil, err
		}
		all[bank] = value
	}
	return all, nil
}

// hash hashes the sections that are measured, each once, and returns them by
// profile.
func (im *Image) hash(ctx context.Context, banks []pcr.Bank) ([][]pcr.Section, error) {
	var hashed []pcr.Section
	for _, s := range im.Program.Sections {
		if !pcr.Measured(s.Name) {
			continue
		}
		h, err := pcr.Hash(s.Name, cancellable(ctx, loaded(im.Program, s)), banks...)
		if err != nil {
			return nil, err
		}
		if h.Size != int64(s.VirtualSize) {
			return nil, fmt.Errorf("hashing section %q: %w", s.Name, io.ErrUnexpectedEOF)
		}
		hashed = append(hashed, h)
	}
	return pcr.Profiles(hashed, func(s pcr.Section) string { return s.Name }), nil
}

// loaded reads a section as it lies in memory: with zeros behind its content, if
// it asks for more.
func loaded(f *pe.File, s pe.Section) io.Reader {
	return io.MultiReader(f.Data(s), io.LimitReader(zeros{}, int64(s.VirtualSize)-s.Size()))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// CheckPolicies reads the image and returns nil if each profile has policies
// for PCR 11, all signed by key and all for what the image will make of it in one
// of the phases (none: those of pcr.Phases).
func (im *Image) CheckPolicies(ctx context.Context, key crypto.PublicKey, phases ...string) error {
	if err := im.checkPolicies(ctx, key, phases); err != nil {
		return fmt.Errorf("checking the TPM policies of a unified kernel image: %w", err)
	}
	return nil
}

func (im *Image) checkPolicies(ctx context.Context, key crypto.PublicKey, phases []string) error {
	if len(phases) == 0 {
		phases = pcr.Phases()
	}
	profiles, err := im.hash(ctx, nil)
	if err != nil {
		return err
	}
	for i, sections := range profiles {
		b, err := im.Text(i, sectionPCRSig)
		if err != nil {
			return err
		}
		signatures, err := pcr.ParseSignatures(b)
		switch {
		case len(b) == 0 || err == nil && len(signatures) == 0:
			return errNoPolicies
		case err != nil:
			return err
		}
		all, err := values(sections)
		if err != nil {
			return err
		}
		for _, s := range signatures {
			if err := s.Verify(key); err != nil {
				return err
			}
			if !coversOne(s, all[s.Bank], phases) {
				return fmt.Errorf("profile %d: a signed policy for %s is not for this image", i, s.Bank)
			}
		}
	}
	return nil
}

func coversOne(s pcr.Signature, start []byte, phases []string) bool {
	for _, path := range phases {
		if s.Covers(s.Bank.Enter(start, path)) {
			return true
		}
	}
	return false
}

// PolicyKey returns the public key that the image gives its system for such
// policies, nil if it gives none.
func (im *Image) PolicyKey() (crypto.PublicKey, error) {
	text, err := im.Text(0, sectionPCRKey)
	if text == nil || err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("reading section .pcrpkey: it is no public key in PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading section .pcrpkey: %w", err)
	}
	return key, nil
}
