// Package inspect says what is in an extension image: partitions, root hash,
// release file, signer and files, all read in place, without root and without
// a loop device. It judges nothing: whether an image can be trusted is the
// verifier's to say.
package inspect

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"inlay/internal/cms"
	"inlay/internal/ddi"
	"inlay/internal/gpt"
	"inlay/internal/hint"
)

// Options say how much to read.
type Options struct {
	// Files asks for the list of files.
	Files bool
}

// notAnImage is advice for whoever named another file.
const notAnImage = "name a disk image, such as the NAME.sysext.raw that inlay build makes"

// Image reads the image at path. Whatever cannot be read inside it stands in
// the report's Unread; only a file that is no disk image at all is an error.
func Image(path string, o Options) (*Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, hint.Wrap(fmt.Errorf("%q is not a regular file", path), notAnImage)
	}
	image, err := ddi.Open(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, hint.Default(err, notAnImage))
	}
	r := &Report{
		Name: filepath.Base(path), Size: info.Size(), SectorSize: image.Table.SectorSize,
		Architecture: image.Architecture, ImageUUID: image.Table.DiskGUID.String(), Signature: "unsigned",
	}
	for _, damage := range image.Table.Damage {
		r.Unread = append(r.Unread, damage.String())
	}
	r.partitions(image)
	r.verity(image)
	r.signature(image)
	r.fileSystem(image.FileSystem(), o)
	return r, nil
}

// partitions fills Mounts in the shape of systemd-dissect's.
func (r *Report) partitions(image *ddi.Image) {
	for _, p := range image.Table.Partitions {
		m := Mount{
			ReadWrite: "rw", UUID: p.GUID.String(), Label: p.Label, Number: p.Number,
			Offset: image.Table.Offset(p), Size: image.Table.Length(p),
		}
		if p.Attributes&gpt.ReadOnly != 0 {
			m.ReadWrite = "ro"
		}
		if d, known := gpt.Lookup(p.Type); known {
			m.Designator, m.Architecture = designator(d), d.Architecture
			switch d.Role {
			case gpt.Verity:
				m.FileSystem = "DM_verity_hash"
			case gpt.Signature:
				m.FileSystem = "verity_hash_signature"
			case gpt.Data:
				m.FileSystem = fileSystemOf(image.Section(p))
				m.Verity = verityWord(image)
			}
		}
		r.Mounts = append(r.Mounts, m)
	}
}

// designator is systemd's name of a partition: root, root-verity, root-verity-sig.
func designator(d gpt.Discoverable) string {
	switch d.Role {
	case gpt.Verity:
		return d.Designator + "-verity"
	case gpt.Signature:
		return d.Designator + "-verity-sig"
	}
	return d.Designator
}

func verityWord(image *ddi.Image) string {
	switch {
	case image.Signed != nil:
		return "signed"
	case image.Verity != nil:
		return "yes"
	}
	return "no"
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
		r.VerityUUID = gpt.GUID(s.UUID).String()
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
