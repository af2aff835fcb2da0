// Package sign puts a signature on an image that already exists, our own or
// another's: in place where one block can make the switch, on a copy that
// takes the image's name otherwise. Either way a kill at any instant leaves
// the old image or the new one.
package sign

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"inlay/internal/cms"
	"inlay/internal/ddi"
	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/stage"
)

// ErrBusy is returned when another command is at work on the image.
var ErrBusy = errors.New("another command is writing to the image")

// Options say how an image gets its signature: made by Signer now, or made
// elsewhere and handed over.
type Options struct {
	// Signer makes the signature, if it is not nil.
	Signer *keys.Pair
	// PKCS7 is a detached signature over the root hash text, in DER, and
	// Certificate the one that it is by.
	PKCS7       []byte
	Certificate *x509.Certificate
}

// Result is what was done.
type Result struct {
	Path        string `json:"path"`
	Size        int64  `json:"size"`
	RootHash    string `json:"rootHash"`
	Subject     string `json:"subject"`
	Fingerprint string `json:"fingerprint"`
	// InPlace says that the image's data was not written again.
	InPlace bool `json:"inPlace"`
}

// Text returns what a signature of the image at path is made over: the root
// hash as 64 hexadecimal digits, without a newline.
func Text(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	root, _, err := rootHash(f)
	if err != nil {
		return "", fmt.Errorf("reading %q: %w", path, err)
	}
	return string(ddi.SignedText(root)), nil
}

// Run signs the image at path.
func Run(ctx context.Context, path string, o Options) (*Result, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := lock(f, path); err != nil {
		return nil, fmt.Errorf("signing %q: %w", path, err)
	}
	root, size, err := rootHash(f)
	if err != nil {
		return nil, fmt.Errorf("signing %q: %w", path, err)
	}
	signature, certificate, err := signature(root, o)
	if err != nil {
		return nil, fmt.Errorf("signing %q: %w", path, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	result := &Result{
		Path: path, RootHash: string(ddi.SignedText(root)), InPlace: true,
		Subject: certificate.Subject.String(), Fingerprint: hex.EncodeToString(signature.Fingerprint[:]),
	}
	if err := thisSystem().inUse(f); err != nil {
		return nil, fmt.Errorf("signing %q: %w", path, err)
	}
	result.Size, err = ddi.Attach(f, size, signature)
	if errors.Is(err, ddi.ErrNotInPlace) {
		result.InPlace = false
		result.Size, err = replace(ctx, f, path, size, signature)
	}
	if err != nil {
		return nil, fmt.Errorf("signing %q: %w", path, err)
	}
	return result, nil
}

// lock keeps other commands off the image that f is, until f is closed.
func lock(f *os.File, path string) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return ErrBusy
	} else if err != nil {
		return err
	}
	held, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(held, named) {
		// Whoever had the lock before has put another file in its place.
		return ErrBusy
	}
	return nil
}

func rootHash(f *os.File) (root ddi.RootHash, size int64, err error) {
	defer func() {
		err = hint.Default(err, "name an image with a dm-verity tree over blocks of 4096 bytes, such as inlay and systemd-repart 255 or newer make")
	}()
	info, err := f.Stat()
	if err != nil {
		return root, 0, err
	}
	if !info.Mode().IsRegular() {
		return root, 0, errors.New("not a regular file")
	}
	image, err := ddi.Open(f, info.Size())
	if err != nil {
		return root, 0, err
	}
	root, err = image.RootHash()
	return root, info.Size(), err
}

// signature returns the signature to attach, which is known to verify.
func signature(root ddi.RootHash, o Options) (*ddi.Signature, *x509.Certificate, error) {
	text := ddi.SignedText(root)
	certificate, pkcs7 := o.Certificate, o.PKCS7
	if o.Signer != nil {
		certificate = o.Signer.Certificate
		var err error
		if pkcs7, err = cms.Sign(text, certificate, o.Signer.Signer); err != nil {
			return nil, nil, err
		}
	}
	parsed, err := cms.Parse(pkcs7)
	if err != nil {
		return nil, nil, hint.Default(err, "give a detached PKCS #7 signature in DER, without attributes: openssl smime -sign -binary -noattr -outform der")
	}
	if err := parsed.Verify(text, certificate); err != nil {
		return nil, nil, hint.Wrap(err, "sign the text that \"inlay sign IMAGE --print-text\" prints, without a newline, with this certificate's key")
	}
	return ddi.NewSignature(root, certificate, pkcs7), certificate, nil
}

// copyPiece is how much is copied before looking whether to stop, in bytes.
const copyPiece = 64 << 20

// replace attaches the signature to a copy, which takes the image's place: the
// one where f lies, if path is a link to it.
func replace(ctx context.Context, f *os.File, path string, size int64, signature *ddi.Signature) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return 0, err
	}
	fresh, err := stage.Create(path, info.Mode())
	if err != nil {
		return 0, err
	}
	defer fresh.Discard()
	if err := keepAccess(fresh.File, info); err != nil {
		return 0, err
	}
	for off := int64(0); off < size; off += copyPiece {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if _, err := io.Copy(fresh.File, io.NewSectionReader(f, off, min(copyPiece, size-off))); err != nil {
			return 0, fmt.Errorf("copying: %w", err)
		}
	}
	size, err = ddi.AttachCopy(fresh, size, signature)
	if err != nil {
		return 0, err
	}
	return size, fresh.Commit()
}

// keepAccess gives f the owner and the permissions that info has. The owner
// stays the caller where only root could give the file away.
func keepAccess(f *os.File, info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(stat.Uid), int(stat.Gid)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("keeping the owner: %w", err)
		}
	}
	if err := f.Chmod(info.Mode().Perm()); err != nil {
		return fmt.Errorf("keeping the permissions: %w", err)
	}
	return nil
}
