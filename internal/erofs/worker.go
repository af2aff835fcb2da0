package erofs

// kind is what became of a part of a file.
type kind uint8

const (
	kindPlain      kind = iota // blocks that hold it as it is
	kindCompressed             // one physical cluster
	kindFragment               // a place in the packed inode
	kindInline                 // a cluster behind the inode
)

// piece is a part of a file in the order of its content.
type piece struct {
	length uint32 // bytes of content
	blocks uint32
	block  uint32 // the first one, once it has a place
	kind   kind
	bytes  uint16 // of a compressed one that could be inline: what it takes there
}

// worker compresses, one task at a time.
type worker struct {
	press   *press
	encoder Encoder
	out     []byte
}

func newWorker(p *press) *worker {
	return &worker{press: p, encoder: p.codec.NewEncoder(), out: make([]byte, p.cluster)}
}

// compress makes a task's content into pieces.
func (w *worker) compress(t *task) {
	for at := 0; at < len(t.in); {
		n := min(w.press.input, len(t.in)-at)
		if left := len(t.in) - at - n; left > 0 && left < n/4 {
			// Two halves are better than a whole and a crumb.
			n = int(blocksOf(int64(n+left)/2)) * BlockSize
		}
		if used := w.cluster(t, at, n); used > 0 {
			at += used
			continue
		}
		at += t.plain(at, min(n, w.press.cluster))
	}
}

// cluster compresses content at the offset at of the task, n bytes at most, and
// returns how many went into the cluster: none if that saves nothing.
func (w *worker) cluster(t *task, at, n int) int {
	room := min(w.press.cluster, (n-1)/BlockSize*BlockSize)
	inline := t.final && w.press.tails
	if room == 0 && inline {
		room = n - 1
	}
	if room <= 0 {
		return 0
	}
	out, used, ok := w.encoder.Compress(w.out[:0:room], t.in[at:at+n])
	if !ok {
		return 0
	}
	inline = inline && at+used == len(t.in) && len(out) < BlockSize && len(out) < used
	blocks := int(blocksOf(int64(len(out))))
	// What saves a block also has the entries in the index that it takes: a head
	// of its own, and a neighbour to hold the number if there are several.
	if !inline && blocks*BlockSize >= used {
		return 0
	}
	p := piece{length: uint32(used), blocks: uint32(blocks), kind: kindCompressed}
	if inline {
		p.bytes = uint16(len(out))
	}
	t.pieces = append(t.pieces, p)
	t.append(out, true)
	return used
}

// plain stores n bytes, or a little less or more, as they are, and returns how
// many. They end with a block or with the content, so that the next piece
// begins with a block.
func (t *task) plain(at, n int) int {
	end := min((at+max(n, BlockSize))&^(BlockSize-1), len(t.in))
	if len(t.in)-end < BlockSize {
		end = len(t.in)
	}
	p := piece{length: uint32(end - at), kind: kindPlain}
	for from := at; from < end; {
		to := min((from+BlockSize)&^(BlockSize-1), end)
		t.append(t.in[from:to], false)
		p.blocks++
		from = to
	}
	t.pieces = append(t.pieces, p)
	return end - at
}

// append puts b into the next blocks of what comes out, at their end if right.
func (t *task) append(b []byte, right bool) {
	padding := -len(b) & (BlockSize - 1)
	var zeros [BlockSize]byte
	if right {
		t.out = append(t.out, zeros[:padding]...)
	}
	t.out = append(t.out, b...)
	if !right {
		t.out = append(t.out, zeros[:padding]...)
	}
}
