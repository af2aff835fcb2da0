package verity_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/verity"
)

func superblock(t testing.TB) verity.Superblock {
	p := params(t)
	return verity.Superblock{UUID: p.UUID, DataBlocks: 300, Salt: p.Salt}
}

func TestSuperblock(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*verity.Superblock){
		"usual":     func(*verity.Superblock) {},
		"no salt":   func(s *verity.Superblock) { s.Salt = nil },
		"long salt": func(s *verity.Superblock) { s.Salt = bytes.Repeat([]byte{7}, 256) },
		"one block": func(s *verity.Superblock) { s.DataBlocks = 1 },
		"most":      func(s *verity.Superblock) { s.DataBlocks = 1 << 36 },
	} {
		want := superblock(t)
		change(&want)
		b := want.Marshal()
		if len(b) != verity.SuperblockSize {
			t.Errorf("%s: %d bytes", name, len(b))
		}
		got, err := verity.ParseSuperblock(append(b, 1, 2, 3))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(got.Salt) == 0 {
			got.Salt = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestHashBlocksCount(t *testing.T) {
	t.Parallel()
	for blocks, want := range map[uint64]uint64{1: 0, 2: 1, 128: 1, 129: 3, 1793: 16, 16384: 129, 16385: 132, 1 << 36: 541098243} {
		if got := (verity.Superblock{DataBlocks: blocks}).HashBlocks(); got != want {
			t.Errorf("%d data blocks: %d hash blocks, want %d", blocks, got, want)
		}
	}
}

func TestParseSuperblockHostile(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	for name, test := range map[string]struct {
		change func(b []byte) []byte
		want   string
	}{
		"short":          {func(b []byte) []byte { return b[:511] }, "511 bytes are too few"},
		"magic":          {func(b []byte) []byte { b[7] = 1; return b }, "no superblock"},
		"version":        {func(b []byte) []byte { b[8] = 2; return b }, "version 2"},
		"hash type":      {func(b []byte) []byte { b[12] = 0; return b }, "hash type 0"},
		"algorithm":      {func(b []byte) []byte { copy(b[32:], "sha1\x00\x00"); return b }, `algorithm "sha1"`},
		"crypto name":    {func(b []byte) []byte { copy(b[32:], "sha256-generic"); return b }, `algorithm "sha256-generic"`},
		"data blocks":    {func(b []byte) []byte { le.PutUint32(b[64:], 512); return b }, "data block size 512"},
		"hash blocks":    {func(b []byte) []byte { le.PutUint32(b[68:], 1024); return b }, "hash block size 1024"},
		"no data":        {func(b []byte) []byte { le.PutUint64(b[72:], 0); return b }, "0 data blocks"},
		"too much data":  {func(b []byte) []byte { le.PutUint64(b[72:], 1<<36+1); return b }, "68719476737 data blocks"},
		"long salt":      {func(b []byte) []byte { le.PutUint16(b[80:], 257); return b }, "salt of 257 bytes"},
		"after the name": {func(b []byte) []byte { b[63] = 'x'; return b }, "reserved"},
		"padding":        {func(b []byte) []byte { b[87] = 1; return b }, "reserved"},
		"after the salt": {func(b []byte) []byte { b[88+32] = 1; return b }, "reserved"},
		"the end":        {func(b []byte) []byte { b[511] = 1; return b }, "reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := verity.ParseSuperblock(test.change(superblock(t).Marshal()))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func FuzzParseSuperblock(f *testing.F) {
	f.Add(superblock(f).Marshal())
	f.Add(verity.Superblock{DataBlocks: 1}.Marshal())
	f.Add([]byte("verity\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := verity.ParseSuperblock(b)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Marshal(), b[:verity.SuperblockSize]) {
			t.Fatal("what was read is not what is there")
		}
		if s.Size() <= 0 || len(s.Salt) > verity.MaxSalt {
			t.Fatalf("size %d, salt %d", s.Size(), len(s.Salt))
		}
	})
}
