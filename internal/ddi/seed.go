package ddi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"inlay/internal/gpt"
)

// Seed is what the identifiers of an image are derived from, by the scheme of
// systemd-repart's --seed: HMAC-SHA256 under the seed, cut to a version 4 UUID.
type Seed [16]byte

// DiskGUIDOf returns the disk's GUID. It also depends on the content, so that
// two builds of one extension can be told apart; systemd-repart's does not.
func (s Seed) DiskGUIDOf(root RootHash) gpt.GUID {
	return version4(s.mac(append([]byte("disk-uuid"), root[:]...)))
}

// VerityUUID returns the UUID of the verity superblock.
func (s Seed) VerityUUID() gpt.GUID { return version4(s.mac([]byte("verity-uuid"))) }

// Salt returns the salt of the hash tree, 32 bytes.
func (s Seed) Salt() []byte {
	mac := s.mac([]byte("verity-salt"))
	return mac[:]
}

// Partition returns the GUID of the partition number nth, from 0, of the type kind.
func (s Seed) Partition(kind gpt.GUID, nth uint64) gpt.GUID {
	text := kind[:]
	if nth > 0 {
		text = binary.LittleEndian.AppendUint64(text, nth)
	}
	return version4(s.mac(text))
}

// FileSystemUUID returns the UUID of the file system in the first partition of
// the type kind.
func (s Seed) FileSystemUUID(kind gpt.GUID) gpt.GUID {
	return version4(Seed(s.Partition(kind, 0)).mac([]byte("file-system-uuid")))
}

func (s Seed) mac(text []byte) [sha256.Size]byte {
	h := hmac.New(sha256.New, s[:])
	h.Write(text)
	return [sha256.Size]byte(h.Sum(nil))
}

// version4 makes a random UUID (RFC 9562) of a digest.
func version4(digest [sha256.Size]byte) gpt.GUID {
	g := gpt.GUID(digest[:16])
	g[6] = g[6]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	return g
}
