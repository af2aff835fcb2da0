package device

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"inlay/internal/verity"
)

// verityTarget is the name of the target.
const verityTarget = "verity"

// algorithm is the only one that package verity knows.
const algorithm = "sha256"

// VerityTable says what a dm-verity device is made of.
type VerityTable struct {
	// Data and Hash are the devices, which may be closed once the mapping is
	// there: the kernel keeps them. Hash begins with the superblock.
	Data, Hash *Loop
	Superblock verity.Superblock
	RootHash   [verity.DigestSize]byte
	// Signature is the PKCS#7 signature (DER) of the root hash, in hexadecimal
	// text, for the kernel to check by its own keys; may be nil.
	Signature []byte
	// RequireKernel refuses a device whose signature the kernel has not checked
	// itself. Else the kernel is only offered the signature: the caller has
	// judged it.
	RequireKernel bool
}

// check looks for what the kernel would refuse in few words.
func (t VerityTable) check() error {
	switch {
	case t.Superblock.DataBlocks == 0:
		return errors.New("its superblock covers no data")
	case uint64(t.Data.Size)/verity.BlockSize < t.Superblock.DataBlocks:
		return fmt.Errorf("its data device has %d bytes, too few for %d blocks", t.Data.Size, t.Superblock.DataBlocks)
	case t.Hash.Size < t.Superblock.Size():
		return fmt.Errorf("its hash device has %d bytes, too few for a tree of %d", t.Hash.Size, t.Superblock.Size())
	case len(t.Signature) > maxSignature:
		return fmt.Errorf("its signature has %d bytes, the kernel takes %d", len(t.Signature), maxSignature)
	case t.RequireKernel && len(t.Signature) == 0:
		return errors.New("it has no signature for the kernel to check")
	}
	return nil
}

// target returns the line of the table, with the signature in the key of the
// description, if there is one.
func (t VerityTable) target(key string) target {
	salt := "-"
	if len(t.Superblock.Salt) > 0 {
		salt = hex.EncodeToString(t.Superblock.Salt)
	}
	// Hash type 1; the tree begins in the block after the superblock's.
	text := fmt.Sprintf("1 %s %s %d %d %d 1 %s %x %s", t.Data.Number, t.Hash.Number,
		verity.BlockSize, verity.BlockSize, t.Superblock.DataBlocks, algorithm, t.RootHash, salt)
	if key != "" {
		text += " 2 root_hash_sig_key_desc " + key
	}
	return target{length: t.Superblock.DataBlocks * (verity.BlockSize / sector), kind: verityTarget, text: text}
}

// active is the line of a dm-verity table that the kernel shows.
type active struct {
	// data and hash are the devices below.
	data, hash string
	// sums are the fields that decide what the device's content can be: the format,
	// the number of data blocks, the root hash and the salt.
	sums []string
	// key describes the signature that the kernel has checked.
	key string
	// lax is an option that gives out what was not checked, "" if there is none.
	lax string
}

// root is the root hash in hexadecimal text.
func (a active) root() string { return a.sums[5] }

// parseActive reads the text of a table: ten fields, the number of words that
// follow, and the options.
func parseActive(text string) (active, error) {
	const fixed = 10
	words := strings.Fields(text)
	if len(words) < fixed {
		return active{}, fmt.Errorf("the table %q has too few fields", text)
	}
	a := active{data: words[1], hash: words[2], sums: slices.Concat(words[:1], words[3:6], words[7:fixed])}
	if len(words) == fixed {
		return a, nil
	}
	options := words[fixed+1:]
	if count, err := strconv.Atoi(words[fixed]); err != nil || count != len(options) {
		return active{}, fmt.Errorf("the table %q has another number of options than it says", text)
	}
	for len(options) > 0 {
		switch options[0] {
		case "root_hash_sig_key_desc":
			if len(options) < 2 {
				return active{}, fmt.Errorf("the table %q has a signature without a key", text)
			}
			a.key = options[1]
			options = options[1:]
		case "restart_on_corruption", "panic_on_corruption", "restart_on_error", "panic_on_error", "try_verify_in_tasklet":
			// As strict as we are, and louder.
		default:
			// ignore_corruption, check_at_most_once, and what is not known.
			a.lax = options[0]
			return a, nil
		}
		options = options[1:]
	}
	return a, nil
}
