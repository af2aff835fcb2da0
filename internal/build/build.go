// Package build makes an extension image from a source: it orders the steps
// and owns no format.
//
// A layer's content goes straight into the image as it is read, before the
// rest of the tree is known; everything that only the whole tree can tell (the
// release file, what lies outside the kind's folders, what is suspicious) is
// decided afterwards, and the image gets its name last. A build that fails
// leaves nothing.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"

	"inlay/internal/cms"
	"inlay/internal/ddi"
	"inlay/internal/erofs"
	"inlay/internal/extension"
	"inlay/internal/gpt"
	"inlay/internal/hint"
	"inlay/internal/source"
	"inlay/internal/stage"
	"inlay/internal/tree"
)

// builder is one build under way.
type builder struct {
	Options
	image      *source.Image
	fromFolder bool
	seed       ddi.Seed
	file       *stage.File
	ddi        *ddi.Writer
	sink       *releaseCatcher
	tree       *tree.Tree
	deleted    tree.Mask // by the chosen layers
	result     *Result
}

// Run builds the image that o describes from image and returns what it made.
func Run(ctx context.Context, image *source.Image, o Options) (*Result, error) {
	b := &builder{Options: o, image: image, fromFolder: o.Reference.Scheme == source.Dir, seed: seedOf(o), deleted: tree.Mask{}}
	if err := extension.CheckName(o.Kind, o.Name); err != nil {
		return nil, err
	}
	if err := b.checkPlatform(); err != nil {
		return nil, err
	}
	if err := b.start(); err != nil {
		return nil, err
	}
	defer b.file.Discard()
	// Closing only frees a spool; what it held is in the image by then.
	defer func() { _ = b.sink.Close() }()
	if err := b.read(ctx); err != nil {
		return nil, err
	}
	if err := b.complete(ctx); err != nil {
		return nil, err
	}
	if err := b.finish(ctx); err != nil {
		return nil, err
	}
	b.step(StepDone)
	return b.result, nil
}

// start opens the nameless file and the writers that fill it.
func (b *builder) start() error {
	path := b.path()
	b.result = &Result{
		Path: path, Name: b.Name, Kind: b.Kind.Name, Architecture: b.Architecture.Word, FileSystem: string(b.FileSystem),
		Source: Source{Reference: b.Reference.String(), Origin: b.image.Origin, Digest: string(b.image.Digest)},
	}
	if err := b.chooseKernel(); err != nil {
		return err
	}
	file, err := stage.Create(path, 0o644)
	if err != nil {
		return hint.Wrap(err, "--output names the folder for the image; it must exist and be writable")
	}
	b.file = file
	b.ddi, err = ddi.NewWriter(file, ddi.Options{
		Architecture:  b.Architecture.Word,
		Salt:          b.seed.Salt(),
		VerityUUID:    b.seed.VerityUUID(),
		SignatureGUID: b.seed.Partition(b.partitionType(gpt.Signature), 0),
		DiskGUID:      b.seed.DiskGUIDOf,
	})
	if err != nil {
		file.Discard()
		return err
	}
	pack, err := b.newPacker()
	if err != nil {
		file.Discard()
		return err
	}
	b.sink = newReleaseCatcher(pack, b.Kind, b.label)
	if awkward := extension.AwkwardName(b.Name); awkward != "" {
		b.warn("%s", awkward)
	}
	return nil
}

func (b *builder) newPacker() (packer, error) {
	if b.FileSystem == Squashfs {
		return newSquashPacker(b.ddi.Data(), b.Epoch, filepath.Dir(b.result.Path))
	}
	o := erofs.Options{UUID: b.seed.FileSystemUUID(b.partitionType(gpt.Data)), Kernel: b.Kernel}
	o.Codec, o.ClusterSize = b.Compression.codec()
	b.result.Compression, b.result.Encoder = b.Compression.String(), b.Compression.Encoder()
	if b.Epoch != nil {
		o.BuildTime = *b.Epoch
	}
	return &erofsPacker{w: erofs.NewWriter(b.ddi.Data(), o), result: b.result}, nil
}

func (b *builder) partitionType(role gpt.Role) gpt.GUID {
	kind, _ := gpt.TypeOf(gpt.Discoverable{Designator: gpt.Root, Role: role, Architecture: b.Architecture.Word})
	return kind
}

// seedOf derives what names an image's parts from what names the image. They
// are needed before the first block is hashed, so the content has no say.
func seedOf(o Options) ddi.Seed {
	var text []byte
	for _, part := range []string{"inlay", o.Kind.Name, o.Architecture.Word, o.Name, o.Seed} {
		// With their lengths, so that no two lists of parts read the same.
		text = fmt.Appendf(text, "%d:%s,", len(part), part)
	}
	sum := sha256.Sum256(text)
	return ddi.Seed(sum[:len(ddi.Seed{})])
}

// finish seals, signs and names the image.
func (b *builder) finish(ctx context.Context) error {
	blocks, err := b.sink.Pack(ctx, b.tree)
	if err != nil {
		return err
	}
	root, err := b.ddi.Seal(blocks)
	if err != nil {
		return err
	}
	b.result.RootHash = string(ddi.SignedText(root))
	signature, err := b.sign(root)
	if err != nil {
		return err
	}
	if b.result.Size, err = b.ddi.Finish(signature, b.DeferSignature); err != nil {
		return err
	}
	if b.Digest {
		if b.result.SHA256, err = digest(b.file, b.result.Size); err != nil {
			return err
		}
	}
	b.record()
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.file.Commit()
}

// sign returns the signature of root, or nil if none was asked for now.
func (b *builder) sign(root ddi.RootHash) (*ddi.Signature, error) {
	switch {
	case b.DeferSignature:
		b.result.Signature = "deferred"
		return nil, nil
	case b.Signer == nil:
		b.result.Signature = "unsigned"
		return nil, nil
	}
	certificate := b.Signer.Certificate
	pkcs7, err := cms.Sign(ddi.SignedText(root), certificate, b.Signer.Signer)
	if err != nil {
		return nil, err
	}
	signature := ddi.NewSignature(root, certificate, pkcs7)
	b.result.Signature = "signed"
	b.result.Signer = &Signer{Subject: certificate.Subject.String(), Fingerprint: hex.EncodeToString(signature.Fingerprint[:])}
	return signature, nil
}

func digest(r io.ReaderAt, size int64) (string, error) {
	h := sha256.New()
	if _, err := io.CopyBuffer(h, io.NewSectionReader(r, 0, size), make([]byte, 1<<20)); err != nil {
		return "", fmt.Errorf("hashing the image: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (b *builder) note(format string, args ...any) {
	b.result.Notes = append(b.result.Notes, fmt.Sprintf(format, args...))
}

func (b *builder) warn(format string, args ...any) {
	b.result.Warnings = append(b.result.Warnings, fmt.Sprintf(format, args...))
}
