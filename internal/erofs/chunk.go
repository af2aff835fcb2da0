package erofs

import (
	"bytes"
	"encoding/binary"
	"io"
)

// A file with holes is stored in chunks, each of which has an address or none.
// A chunk is as long as a buffer of the device, so that it can be looked at
// before it is passed on; a smaller one would save little and cost kernels
// before 6.15 a request each.
const (
	chunkSize     = BufferSize
	chunkSizeBits = 4         // its binary logarithm beyond a block's: i_u's chunk format
	chunkAddress  = 4         // bytes of an address in the map behind the inode
	hole          = 1<<32 - 1 // the address of a chunk that is all zeros

	// A change of one of these without the others doesn't compile.
	_ = uint(chunkSize>>chunkSizeBits - BlockSize)
	_ = uint(BlockSize - chunkSize>>chunkSizeBits)
)

// chunks are runs of chunks that lie one behind the other, or of holes.
type chunks []chunkRun

type chunkRun struct {
	count uint32
	block uint32 // of the first, or hole
}

// add appends a chunk at block, or a hole.
func (c *chunks) add(block uint32) {
	if n := len(*c); n > 0 {
		last := &(*c)[n-1]
		follows := last.block == hole && block == hole ||
			last.block != hole && block != hole && int64(last.block)+int64(last.count)*(chunkSize/BlockSize) == int64(block)
		if follows {
			last.count++
			return
		}
	}
	*c = append(*c, chunkRun{1, block})
}

// storeChunks reads content and leaves out chunks of zeros. Without any, the
// extent is the flat x; with one, its map takes the place of what x has inline.
func (w *Writer) storeChunks(x extent, head int, r io.Reader) (extent, error) {
	// From here on, a chunk is what fits into a buffer.
	if err := w.data.flush(); err != nil {
		return extent{}, w.fail(err)
	}
	first := w.data.end() / BlockSize
	whole := x.size - int64(x.inline)
	var runs chunks
	for ; whole >= chunkSize; whole -= chunkSize {
		space, err := w.data.space()
		if err != nil {
			return extent{}, w.fail(err)
		}
		if err := w.readFull(r, space); err != nil {
			return extent{}, err
		}
		// The last chunk is never a hole: fsck.erofs 1.8.6 unpacks a file no
		// further than to its last byte that isn't in one.
		if whole+int64(x.inline) > chunkSize && isZero(space) {
			runs.add(hole)
			continue
		}
		runs.add(uint32(w.data.end() / BlockSize))
		w.data.take(chunkSize)
	}
	rest := uint32(w.data.end() / BlockSize)
	holes := len(runs) > 1 || runs[0].block == hole
	if holes {
		whole += int64(x.inline)
	}
	if err := w.storeBlocks(whole, r); err != nil || !holes {
		x.address = uint32(first)
		return x, err
	}
	if whole > 0 {
		runs.add(rest)
	}
	w.used.add(usesHoles)
	x.layout, x.chunks, x.address = chunkBased, runs, chunkSizeBits
	x.inline = mapStart(head) - head
	for _, run := range runs {
		x.inline += int(run.count) * chunkAddress
	}
	return x, nil
}

// mapStart is where the map of a file with holes begins, behind an inode whose
// fixed part and attributes take head bytes.
func mapStart(head int) int { return (head + chunkAddress - 1) &^ (chunkAddress - 1) }

// putChunks writes the map into p, which begins behind the attributes.
func (x *extent) putChunks(p []byte, head int) {
	p = p[mapStart(head)-head:]
	for _, run := range x.chunks {
		for i := range run.count {
			address := run.block
			if address != hole {
				address += i * (chunkSize / BlockSize)
			}
			binary.LittleEndian.PutUint32(p, address)
			p = p[chunkAddress:]
		}
	}
}

// isZero tells whether p, which is not empty, holds nothing but zeros.
func isZero(p []byte) bool { return p[0] == 0 && bytes.Equal(p[1:], p[:len(p)-1]) }
