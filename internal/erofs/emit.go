package erofs

import "bytes"

// emit gives a task's file what the task brought.
func (p *press) emit(t *task) error {
	f := t.file
	var err error
	switch {
	case t.zeros > 0:
		err = p.emitZeros(f, t.zeros)
	case t.whole && p.flatIsSmaller(t):
		err = p.emitFlat(t)
	case t.done != nil:
		err = p.emitPieces(t)
	default:
		f.pieces = append(f.pieces, t.pieces...)
	}
	if err != nil || !t.last {
		return err
	}
	return p.place(f)
}

// emitPieces gives clusters their place.
func (p *press) emitPieces(t *task) error {
	f := t.file
	if t.final && !f.packed {
		p.takeInline(t)
	}
	first, err := p.w.data.insert(t.out)
	if err != nil {
		return err
	}
	block := uint32(first)
	for _, c := range t.pieces {
		c.block = block
		block += c.blocks
		p.give(f, c)
	}
	return nil
}

// give appends a piece to a file.
func (p *press) give(f *pending, c piece) {
	if len(f.pieces) == 0 {
		f.first = c.block
	}
	f.blocks += int64(c.blocks)
	if c.kind == kindCompressed {
		p.largest = max(p.largest, int(c.blocks))
	}
	f.pieces = append(f.pieces, c)
}

// emitZeros gives a run of zeros its clusters.
func (p *press) emitZeros(f *pending, size int64) error {
	for size > 0 {
		n := p.zeros.next(size)
		cluster := p.zeros.cluster(n)
		block, err := p.w.data.insert(cluster)
		if err != nil {
			return err
		}
		p.give(f, piece{
			length: uint32(n), blocks: uint32(len(cluster) / BlockSize),
			block: uint32(block), kind: kindCompressed,
		})
		size -= n
	}
	return nil
}

// flatSize returns what content of n bytes takes as it is, and how much of that
// lies behind the inode.
func (f *pending) flatSize() (size int64, inline int) {
	tail := int(f.size % BlockSize)
	if tail > 0 && f.ino.head()+tail <= BlockSize {
		return f.size, tail
	}
	return blocksOf(f.size) * BlockSize, 0
}

// flatIsSmaller tells whether compressing the whole file in t saves nothing.
func (p *press) flatIsSmaller(t *task) bool {
	flat, _ := t.file.flatSize()
	p.takeInline(t)
	compressed := len(t.out) + len(t.file.inline) + t.file.indexSize(compressedCompact)
	return int64(compressed) >= flat
}

// emitFlat stores a file as it is, after all.
func (p *press) emitFlat(t *task) error {
	f := t.file
	_, tail := f.flatSize()
	f.flat, f.inline, f.raw = true, nil, bytes.Clone(t.in[len(t.in)-tail:])
	first, err := p.w.data.insertPadded(t.in[:len(t.in)-tail])
	f.first = uint32(first)
	return err
}

// takeInline puts a file's last cluster behind its inode, if it was made for
// that and fits: it must not cross a block there.
func (p *press) takeInline(t *task) {
	if len(t.pieces) == 0 {
		return
	}
	last := &t.pieces[len(t.pieces)-1]
	n := int(last.bytes)
	if n == 0 {
		return
	}
	last.bytes = 0
	f := t.file
	start := f.ino.head() + f.indexSize(compressedCompact)
	if start+n <= BlockSize || start > BlockSize && start%BlockSize+n <= BlockSize {
		f.inline = bytes.Clone(t.out[len(t.out)-n:])
		t.out = t.out[:len(t.out)-BlockSize]
		last.blocks, last.kind = 0, kindInline
		return
	}
	at := len(t.in) - int(last.length)
	if at%BlockSize+int(last.length) < BlockSize {
		// Only behind an inode may it be in one logical cluster with the end:
		// the readers in tests don't mind, but mkfs.erofs makes no such index.
		t.out = t.out[:len(t.out)-BlockSize]
		t.append(t.in[at:], false)
		last.kind = kindPlain
	}
}

// place writes the inode of a file that is complete.
func (p *press) place(f *pending) error {
	x := extent{size: f.size, address: f.first}
	if f.flat {
		return p.placeFlat(f, x)
	}
	x.layout = compressedCompact
	if f.packed || f.whole() {
		x.layout = compressedFull
	}
	x.address = uint32(f.blocks)
	index := f.indexSize(x.layout)
	x.inline = index + len(f.inline)
	b, err := p.w.place(f.ref, &f.ino, x)
	if err != nil {
		return err
	}
	f.encodeIndex(b[:index], x.layout, p.codec.Algorithm())
	copy(b[index:], f.inline)
	if !p.single {
		p.w.used.add(usesClusters)
	}
	if p.codec.Algorithm() == LZ4 {
		p.w.used.add(usesLZ4)
	} else {
		p.w.used.add(usesZSTD)
	}
	if f.inline != nil {
		p.w.used.add(usesTails)
	}
	if f.packed {
		p.w.used.add(usesFragments)
	}
	return nil
}

// placeFlat writes the inode of a file that is stored as it is.
func (p *press) placeFlat(f *pending, x extent) error {
	if n := len(f.raw); n > 0 && f.ino.head()+n <= BlockSize {
		x.layout, x.inline = flatInline, n
	} else if n > 0 {
		block, err := p.w.data.insertPadded(f.raw)
		if err != nil {
			return err
		}
		x.address = uint32(block)
	}
	b, err := p.w.place(f.ref, &f.ino, x)
	copy(b, f.raw[:x.inline])
	return err
}

// whole tells whether all of the file is in the packed inode.
func (f *pending) whole() bool { return len(f.pieces) == 1 && f.pieces[0].kind == kindFragment }
