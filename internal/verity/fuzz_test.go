package verity_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"inlay/internal/verity"
)

// fuzzed returns a device made of the fuzzer's choices: one tree of up to 300
// blocks, and bytes of data or tree, three of changes each, that are wrong.
// sound says that none is.
func fuzzed(t *testing.T, blocks uint16, salt, changes []byte) (d device, data []byte, sound bool) {
	t.Helper()
	count := 1 + int(blocks)%300
	salt = salt[:min(len(salt), verity.MaxSalt)]
	data = random(uint64(blocks), count)
	d = newDevice(t, salt, data)
	tree := int64(d.super.HashBlocks()) * blockSize
	flips := map[int64]bool{}
	for len(changes) >= 3 && len(flips) < 8 {
		at := (int64(changes[0])<<16 | int64(changes[1])<<8 | int64(changes[2])) % (int64(len(data)) + tree)
		flips[at] = true
		changes = changes[3:]
	}
	var inData, inTree []int64
	for at := range flips {
		if at < int64(len(data)) {
			inData = append(inData, at)
		} else {
			inTree = append(inTree, at-int64(len(data))+blockSize)
		}
	}
	d.data, d.hash = flipped{d.data, inData}, flipped{d.hash, inTree}
	return d, data, len(flips) == 0
}

func FuzzVerify(f *testing.F) {
	f.Add(uint16(0), []byte(nil), []byte(nil), uint32(0))
	f.Add(uint16(1), make([]byte, 32), []byte{0, 0, 0}, uint32(0))
	f.Add(uint16(128), []byte("salt"), []byte{0x08, 0x10, 0x00, 0x00, 0x10, 0x00}, uint32(0))
	f.Add(uint16(299), make([]byte, 256), []byte{0x12, 0xc0, 0x00, 0x12, 0xd0, 0x00}, uint32(0))
	f.Add(uint16(299), make([]byte, 32), []byte(nil), uint32(1))
	f.Add(uint16(200), make([]byte, 32), []byte{0x0c, 0x90, 0x01}, uint32(500000))
	f.Fuzz(func(t *testing.T, blocks uint16, salt, changes []byte, missing uint32) {
		d, data, sound := fuzzed(t, blocks, salt, changes)
		want := d.judge(t)
		if sound != (want == nil) {
			t.Fatalf("sound %t, but the second opinion is %v", sound, want)
		}
		for _, workers := range []int{1, 3} {
			sameBlock(t, d.verify(t, workers), want)
		}
		// And with an end that is missing.
		if missing %= uint32(len(data)) + 1; missing == 0 {
			return
		}
		d.data = short(d.data, int64(len(data))-int64(missing))
		err := d.verify(t, 2)
		if block, ok := errors.AsType[*verity.BlockError](err); !ok && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes are missing: %v", missing, err)
		} else if ok && (want == nil || *block != *want) {
			t.Errorf("%d bytes are missing: %v, and with them %v", missing, block, want)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add(uint16(0), []byte(nil), int64(0), uint32(5000))
	f.Add(uint16(1), []byte{0, 0, 0}, int64(4095), uint32(2))
	f.Add(uint16(128), []byte{0x08, 0x10, 0x00, 0x00, 0x10, 0x00}, int64(127*blockSize+1), uint32(2*blockSize))
	f.Add(uint16(299), []byte{0x12, 0xc0, 0x00}, int64(300*blockSize-1), uint32(1))
	f.Add(uint16(299), []byte{0x12, 0xd0, 0x00}, int64(-1), uint32(1))
	f.Fuzz(func(t *testing.T, blocks uint16, changes []byte, off int64, length uint32) {
		d, data, sound := fuzzed(t, blocks, nil, changes)
		r := d.reader()
		p := make([]byte, length%(1<<21))
		for range 2 { // the second time from what is kept
			n, err := r.ReadAt(p, off)
			switch _, isBlock := errors.AsType[*verity.BlockError](err); {
			case off < 0:
				if n != 0 || err == nil {
					t.Fatalf("%d bytes, %v", n, err)
				}
				return
			case isBlock:
				if sound {
					t.Errorf("nothing is wrong: %v", err)
				}
			case errors.Is(err, io.EOF):
				if int64(n) != max(0, int64(len(data))-off) {
					t.Errorf("%d bytes before the end", n)
				}
			case err != nil || n != len(p):
				t.Errorf("%d bytes of %d: %v", n, len(p), err)
			}
			if n > 0 && !bytes.Equal(p[:n], data[off:][:n]) {
				t.Error("bytes that nobody vouches for")
			}
		}
	})
}
