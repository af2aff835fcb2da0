package hostile

import (
	"bytes"
	"encoding/binary"
	"testing"

	"inlay/internal/cms"
	"inlay/internal/ddi"
	"inlay/internal/keys"
	"inlay/internal/verify"
)

// Case is one way to spoil an image.
type Case struct {
	Name  string
	Spoil func(t testing.TB, s Set) []byte
	// Check is the one that refuses; "" if the image is still good.
	Check verify.Name
	// Reason is a part of what is said.
	Reason string
}

// Set is what a case is made from.
type Set struct {
	Image *Image     // the good one; its data has more than 128 blocks
	Other *Image     // another one by the same signer
	Pair  *keys.Pair // the signer, who is trusted
}

// Cases returns every way to spoil the bytes of an image.
func Cases() []Case {
	var all []Case
	for _, some := range [][]Case{tableCases(), cutCases(), dataCases(), rootHashCases(), signatureCases(), messageCases()} {
		all = append(all, some...)
	}
	return all
}

// simple is a case that needs nothing but the image.
func simple(spoil func(im *Image) []byte) func(testing.TB, Set) []byte {
	return func(_ testing.TB, s Set) []byte { return spoil(s.Image) }
}

func tableCases() []Case {
	// The label of an entry begins at byte 56.
	rename := func(e []byte) { entry(e, 0)[56] ^= 1 }
	return []Case{
		{"nothing", simple(func(im *Image) []byte { return im.with(func([]byte) {}) }), "", ""},
		{"a bit of the primary header", simple(func(im *Image) []byte { return im.flip(int64(im.table.SectorSize) + 20) }), verify.CheckTable, "primary"},
		{"a bit of the backup header", simple(func(im *Image) []byte { return im.flip(int64(len(im.Bytes)-im.table.SectorSize) + 40) }), verify.CheckTable, "backup"},
		{"a bit of the protective MBR", simple(func(im *Image) []byte { return im.flip(450) }), verify.CheckTable, "MBR"},
		{"a sound backup table that differs", simple(func(im *Image) []byte { return im.backupEntries(rename) }), verify.CheckTable, "backup"},
		{"partitions that overlap", simple(func(im *Image) []byte {
			return im.entries(func(e []byte) {
				last := entry(e, 0)[entryLast:]
				binary.LittleEndian.PutUint64(last, binary.LittleEndian.Uint64(last)+8)
			})
		}), verify.CheckTable, "overlap"},
		{"a partition that ends before it begins", simple(func(im *Image) []byte {
			return im.entries(func(e []byte) { binary.LittleEndian.PutUint64(entry(e, 1)[entryLast:], 1) })
		}), verify.CheckTable, ""},
		{"a partition outside of the image", simple(func(im *Image) []byte {
			return im.entries(func(e []byte) { binary.LittleEndian.PutUint64(entry(e, 2)[entryLast:], 1<<40) })
		}), verify.CheckTable, ""},
		{"two partitions of one GUID", simple(func(im *Image) []byte {
			return im.entries(func(e []byte) { copy(entry(e, 2)[entryGUID:entryFirst], entry(e, 0)[entryGUID:entryFirst]) })
		}), verify.CheckTable, "GUID"},
		{"two root partitions", simple(func(im *Image) []byte {
			return im.entries(func(e []byte) { copy(entry(e, 2)[:entryGUID], entry(e, 0)[:entryGUID]) })
		}), verify.CheckTable, "both"},
		{"a hash tree without data", simple(func(im *Image) []byte {
			return im.entries(func(e []byte) { clear(entry(e, 0)) })
		}), verify.CheckTable, "no root"},
		{"a signature without a hash tree", simple(func(im *Image) []byte {
			return im.entries(func(e []byte) { clear(entry(e, 1)) })
		}), verify.CheckTable, "no verity partition"},
		{"a file system over the table", simple(func(im *Image) []byte {
			return im.with(func(b []byte) { copy(b, squashfsHead(int64(len(b)))) })
		}), verify.CheckTable, ""},
		{"boot code in the MBR", simple(func(im *Image) []byte { return im.flip(3) }), verify.CheckTable, "not zero"},
		{"a byte in the gap before the data", simple(func(im *Image) []byte { return im.flip(im.data.at - 2000) }), verify.CheckTable, ""},
		{"a FAT in the gap before the data", simple((*Image).fat), verify.CheckTable, ""},
		{"one more partition", simple((*Image).onePartitionMore), verify.CheckTable, "none that an extension has"},
		{"no signature partition", simple(func(im *Image) []byte {
			return im.entries(func(e []byte) { clear(entry(e, 2)) })
		}), verify.CheckSignature, "not signed"},
	}
}

// squashfsHead is a superblock that looks like one, as blkid(8) does.
func squashfsHead(size int64) []byte {
	b := make([]byte, 96)
	copy(b, "hsqs")
	binary.LittleEndian.PutUint16(b[28:], 4)
	binary.LittleEndian.PutUint64(b[40:], uint64(size)) //nolint:gosec // a size
	return b
}

func rootHashCases() []Case {
	return []Case{
		{"the GUID of the data partition", simple(func(im *Image) []byte {
			return im.entries(func(e []byte) { entry(e, 0)[entryGUID+3] ^= 1 })
		}), verify.CheckRootHash, "differ"},
		{"the GUID of the tree's partition", simple(func(im *Image) []byte {
			return im.entries(func(e []byte) { entry(e, 1)[entryGUID+9] ^= 1 })
		}), verify.CheckRootHash, "differ"},
		{"the root hash of another image in the partitions", func(_ testing.TB, s Set) []byte {
			return s.Image.entries(func(e []byte) {
				s.Other.entries(func(o []byte) {
					copy(entry(e, 0)[entryGUID:entryFirst], entry(o, 0)[entryGUID:entryFirst])
					copy(entry(e, 1)[entryGUID:entryFirst], entry(o, 1)[entryGUID:entryFirst])
				})
			})
		}, verify.CheckRootHash, "differ"},
		{"the signature partition of another image", func(t testing.TB, s Set) []byte {
			text, err := s.Other.Signature.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			return s.Image.signed(text)
		}, verify.CheckRootHash, "the signature"},
		{"another root hash in the signature's text", func(t testing.TB, s Set) []byte {
			return s.Image.resigned(t, func(sig *ddi.Signature) { sig.RootHash[5] ^= 1 })
		}, verify.CheckRootHash, "the signature"},
	}
}

func signatureCases() []Case {
	text := func(t testing.TB, im *Image) []byte {
		b, err := im.Signature.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return []Case{
		{"the signature of another image under this root hash", func(t testing.TB, s Set) []byte {
			return s.Image.resigned(t, func(sig *ddi.Signature) { sig.PKCS7 = s.Other.Signature.PKCS7 })
		}, verify.CheckSignature, ""},
		{"a bit of the signature itself", func(t testing.TB, s Set) []byte {
			return s.Image.resigned(t, func(sig *ddi.Signature) {
				sig.PKCS7 = bytes.Clone(sig.PKCS7)
				sig.PKCS7[len(sig.PKCS7)-3] ^= 1
			})
		}, verify.CheckSignature, ""},
		{"bytes after the message", func(t testing.TB, s Set) []byte {
			return s.Image.resigned(t, func(sig *ddi.Signature) { sig.PKCS7 = append(bytes.Clone(sig.PKCS7), 0) })
		}, verify.CheckSignature, "follow"},
		{"another fingerprint", func(t testing.TB, s Set) []byte {
			return s.Image.resigned(t, func(sig *ddi.Signature) { sig.Fingerprint[0] ^= 1 })
		}, verify.CheckSignature, "states that a certificate"},
		{"no fingerprint", func(t testing.TB, s Set) []byte {
			return s.Image.resigned(t, func(sig *ddi.Signature) { sig.Fingerprint = [32]byte{} })
		}, "", ""},
		{"an empty signature partition", simple(func(im *Image) []byte { return im.signed(nil) }), verify.CheckSignature, "not signed yet"},
		{"no JSON", simple(func(im *Image) []byte { return im.signed([]byte("signed by root")) }), verify.CheckSignature, ""},
		{"a key that comes twice", func(t testing.TB, s Set) []byte {
			return s.Image.signed(append([]byte(`{"signature":"AA==",`), text(t, s.Image)[1:]...))
		}, verify.CheckSignature, ""},
		{"bytes after the NUL", func(t testing.TB, s Set) []byte {
			return s.Image.signed(append(text(t, s.Image), 0, 'x'))
		}, verify.CheckSignature, ""},
		{"a bit of the signature's JSON", simple(func(im *Image) []byte { return im.flip(im.sigPlace.at) }), verify.CheckSignature, ""},
		{"a partition of more than 4 MiB", func(t testing.TB, s Set) []byte { return s.Image.huge(t, 0) }, verify.CheckSignature, "at most"},
		{"JSON of more than 4 MiB", func(t testing.TB, s Set) []byte { return s.Image.huge(t, 5<<20) }, verify.CheckSignature, "at most"},
	}
}

// messageCases sign anew what has to be refused whoever signs.
func messageCases() []Case {
	put := func(message func(t testing.TB, s Set) []byte) func(testing.TB, Set) []byte {
		return func(t testing.TB, s Set) []byte {
			return s.Image.resigned(t, func(sig *ddi.Signature) { sig.PKCS7 = message(t, s) })
		}
	}
	return []Case{
		{"signed anew by the same key", put(func(t testing.TB, s Set) []byte {
			der, err := cms.Sign(ddi.SignedText(s.Image.Root), s.Pair.Certificate, s.Pair.Signer)
			if err != nil {
				t.Fatal(err)
			}
			return der
		}), "", ""},
		{"two signers", put(twoSigners), verify.CheckSignature, "more than one"},
		{"a signature over SHA-1", put(sha1Signed), verify.CheckSignature, ""},
		{"content inside of the message", put(attached), verify.CheckSignature, ""},
		{"signed attributes", put(withAttributes), verify.CheckSignature, ""},
	}
}

// fat returns the image with the boot sector of a FAT in its MBR, as libblkid
// knows one by its geometry alone, and files of its own before the data.
func (im *Image) fat() []byte {
	return im.with(func(b []byte) {
		copy(b, "\xeb\x3c\x90MSDOS5.0")
		binary.LittleEndian.PutUint16(b[11:], 512) // bytes a sector
		b[13] = 1                                  // sectors a cluster
		binary.LittleEndian.PutUint16(b[14:], 40)  // before the first FAT
		b[16] = 1                                  // FATs
		binary.LittleEndian.PutUint16(b[17:], 16)  // names in the root folder
		binary.LittleEndian.PutUint16(b[19:], 1800)
		b[21] = 0xf8
		binary.LittleEndian.PutUint16(b[22:], 8) // sectors a FAT
		copy(b[54:], "MSDOS   ")
	})
}

// onePartitionMore returns the image with an EFI system partition in the place
// of the end of its signature partition.
func (im *Image) onePartitionMore() []byte {
	return im.entries(func(e []byte) {
		signature, more := entry(e, 2), entry(e, 3)
		last := binary.LittleEndian.Uint64(signature[entryLast:])
		binary.LittleEndian.PutUint64(signature[entryLast:], last-uint64(4096/im.table.SectorSize)) //nolint:gosec // a sector size
		copy(more, "\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b")
		more[entryGUID] = 0x77
		binary.LittleEndian.PutUint64(more[entryFirst:], last+1-uint64(4096/im.table.SectorSize)) //nolint:gosec // a sector size
		binary.LittleEndian.PutUint64(more[entryLast:], last)
	})
}
