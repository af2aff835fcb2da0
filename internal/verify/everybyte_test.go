package verify_test

import (
	"bytes"
	"slices"
	"testing"

	"inlay/internal/ddi"
	"inlay/internal/gpt"
	"inlay/internal/verify"
	"inlay/test/sample"
)

// TestEveryByte changes single bytes all over an image. What anybody acts on
// must be noticed. What nobody acts on may pass: the old geometry in the
// protective MBR, the UUID in the tree's superblock and the room behind it, and
// what lies behind the signature. In the signature partition names of
// keys that a reader must pass over and certificates that count for nothing can
// be changed, so there the answer has to stay the same.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	pair := sample.Pair(t, sample.Certificate{})
	good := read(t, sample.Make(t, sample.Image{Signer: pair}))
	d, err := ddi.Open(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	tree := d.Table.Offset(*d.Verity)
	unread := func(at int64) bool {
		return at > 446 && at < 450 || at > 450 && at < 454 ||
			at >= tree+16 && at < tree+32 ||
			at >= tree+512 && at < tree+4096 ||
			at >= d.Table.Offset(*d.Signed)+d.Table.Length(*d.Signed) && at < int64(len(good))-gpt.BackupSize(512)
	}
	options := verify.Options{Anchors: trusting(t, pair), Workers: 1}
	same := run(t, good, options)
	const stride = 29 // coprime to everything that lies in an image
	gap := func(at int64) bool { return at > 40<<10 && at < d.Table.Offset(d.Data)-4096 }
	for at := int64(0); at < int64(len(good)); at += stride {
		if gap(at) && at%97 != 0 {
			continue // a megabyte of the same
		}
		if unread(at) {
			continue
		}
		b := slices.Clone(good)
		b[at] ^= 0x10
		v := run(t, b, options)
		inSignature := at >= d.Table.Offset(*d.Signed) && at < d.Table.Offset(*d.Signed)+d.Table.Length(*d.Signed)
		if v.Trusted() && (!inSignature || v.RootHash != same.RootHash || v.Signer.Fingerprint != same.Signer.Fingerprint) {
			t.Errorf("byte %d was changed: %s", at, explain(v))
		}
	}
}
