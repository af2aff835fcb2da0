package hostile

import (
	"bytes"
	"crypto/elliptic"
	"encoding/asn1"
	"testing"

	"github.com/smallstep/pkcs7"

	"inlay/internal/ddi"
	"inlay/internal/gpt"
	"inlay/test/sample"
)

// message makes a PKCS #7 message over the image's root hash by another
// library, which makes what ours will not.
func message(t testing.TB, s Set, digest asn1.ObjectIdentifier, sign func(*pkcs7.SignedData) error) []byte {
	t.Helper()
	signed, err := pkcs7.NewSignedData(ddi.SignedText(s.Image.Root))
	if err != nil {
		t.Fatal(err)
	}
	signed.SetDigestAlgorithm(digest)
	if err := sign(signed); err != nil {
		t.Fatal(err)
	}
	der, err := signed.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func twoSigners(t testing.TB, s Set) []byte {
	second := sample.Pair(t, sample.Certificate{Name: "second", Key: sample.ECDSA(t, elliptic.P256()), Serial: 77})
	return message(t, s, pkcs7.OIDDigestAlgorithmSHA256, func(signed *pkcs7.SignedData) error {
		signed.Detach()
		if err := signed.SignWithoutAttr(s.Pair.Certificate, s.Pair.Signer, pkcs7.SignerInfoConfig{}); err != nil {
			return err
		}
		return signed.SignWithoutAttr(second.Certificate, second.Signer, pkcs7.SignerInfoConfig{})
	})
}

func sha1Signed(t testing.TB, s Set) []byte {
	return message(t, s, pkcs7.OIDDigestAlgorithmSHA1, func(signed *pkcs7.SignedData) error {
		signed.Detach()
		return signed.SignWithoutAttr(s.Pair.Certificate, s.Pair.Signer, pkcs7.SignerInfoConfig{})
	})
}

func attached(t testing.TB, s Set) []byte {
	return message(t, s, pkcs7.OIDDigestAlgorithmSHA256, func(signed *pkcs7.SignedData) error {
		return signed.SignWithoutAttr(s.Pair.Certificate, s.Pair.Signer, pkcs7.SignerInfoConfig{})
	})
}

func withAttributes(t testing.TB, s Set) []byte {
	return message(t, s, pkcs7.OIDDigestAlgorithmSHA256, func(signed *pkcs7.SignedData) error {
		if err := signed.AddSigner(s.Pair.Certificate, s.Pair.Signer, pkcs7.SignerInfoConfig{}); err != nil {
			return err
		}
		signed.Detach()
		return nil
	})
}

// huge returns the image with a signature partition of more than 4 MiB, in which
// the signature's text ends with that many spaces.
func (im *Image) huge(t testing.TB, spaces int) []byte {
	t.Helper()
	const more = 5 << 20
	end := im.sigPlace.at + im.sigPlace.size + more
	table := *im.table
	table.Partitions = append([]gpt.Partition(nil), table.Partitions...)
	table.Partitions[2].Last += more / uint64(table.SectorSize) //nolint:gosec // a good image's
	table.Size = (end + gpt.BackupSize(table.SectorSize) + 4095) / 4096 * 4096
	b := make([]byte, table.Size)
	copy(b, im.Bytes[:im.sigPlace.at+im.sigPlace.size])
	text := bytes.TrimRight(im.sigPlace.of(b), "\x00")
	for i := range spaces {
		b[im.sigPlace.at+int64(len(text)+i)] = ' '
	}
	primary, backup, err := table.Encode()
	if err != nil {
		t.Fatal(err)
	}
	copy(b, primary)
	copy(b[len(b)-len(backup):], backup)
	return b
}
