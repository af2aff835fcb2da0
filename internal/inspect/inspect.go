// Package inspect says what is in an extension: partitions, root hash, release
// file, signer and files, all read in place, without root and without a loop
// device. What systemd-dissect shows, it shows under the same names. It judges
// nothing: whether an image can be trusted is the verifier's to say.
package inspect

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"

	"inlay/internal/cms"
	"inlay/internal/content"
	"inlay/internal/ddi"
	"inlay/internal/gpt"
	"inlay/internal/guid"
)

// Options say how much to read.
type Options struct {
	// Files asks for the list of files.
	Files bool
}

// Image reads the extension at path: a disk image, a naked file system or a
// folder. Whatever cannot be read inside it stands in the report's Unread; only
// what is no extension at all is an error.
func Image(ctx context.Context, path string, o Options) (*Report, error) {
	x, err := content.OpenExtension(path)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	r := &Report{Name: filepath.Base(full), Form: x.Form, Size: x.Size, Signature: "unsigned"}
	switch {
	case x.Image != nil:
		r.image(x.Image)
	case x.Naked != nil:
		r.naked(x.Naked, full)
	}
	if err := r.content(ctx, x, o); err != nil {
		return nil, err
	}
	return r, nil
}

// image reads a disk image.
func (r *Report) image(image *ddi.Image) {
	r.SectorSize, r.Architecture, r.ImageUUID = image.Table.SectorSize, image.Architecture, image.Table.DiskGUID.String()
	for _, damage := range image.Table.Damage {
		r.Unread = append(r.Unread, damage.String())
	}
	r.partitions(image)
	r.verity(image)
	r.signature(image)
}

func (r *Report) verity(image *ddi.Image) {
	root, err := image.RootHash()
	switch {
	case errors.Is(err, ddi.ErrNoVerity):
	case err != nil:
		r.unread("root hash", err)
	default:
		r.RootHash = hex.EncodeToString(root[:])
	}
	if s, err := image.Superblock(); err == nil {
		r.VerityUUID = guid.GUID(s.UUID).String()
		r.Salt = hex.EncodeToString(s.Salt)
	}
}

func (r *Report) signature(image *ddi.Image) {
	signature, err := image.Signature()
	switch {
	case errors.Is(err, ddi.ErrUnsigned):
		return
	case errors.Is(err, ddi.ErrDeferred):
		r.Signature = "deferred"
		return
	}
	// There is one, whatever becomes of reading it. Whether it is any good is
	// not for this package to say.
	r.Signature = "present"
	if err != nil {
		r.unread("signature", err)
		return
	}
	if signed := hex.EncodeToString(signature.RootHash[:]); r.RootHash != "" && signed != r.RootHash {
		r.unread("signature", fmt.Errorf("it is for the root hash %s, not for this image's", signed))
	}
	parsed, err := cms.Parse(signature.PKCS7)
	if err != nil {
		r.unread("signature", err)
		return
	}
	r.Signer = &Signer{Issuer: parsed.Issuer.String(), Serial: parsed.Serial.Text(16), Hash: parsed.Digest.String()}
	if signature.Fingerprint != [32]byte{} {
		r.Signer.Fingerprint = hex.EncodeToString(signature.Fingerprint[:])
	}
	if certificate := parsed.Signer(); certificate != nil {
		r.Signer.Subject = certificate.Subject.String()
		r.Signer.NotBefore, r.Signer.NotAfter = &certificate.NotBefore, &certificate.NotAfter
	}
}

// hasESP says whether firmware would find a system to boot.
func hasESP(t *gpt.Table) bool {
	const efiSystem = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	for _, p := range t.Partitions {
		if p.Type.String() == efiSystem {
			return true
		}
	}
	return false
}
