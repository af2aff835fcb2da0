package erofs

import (
	"io"
	"runtime"
)

const (
	// segmentInput is the most content that is compressed in one go: an end of a
	// segment leaves half a block unused on average.
	segmentInput = 1 << 20

	// segmentExtra is what a file's last segment may take in addition, so that it
	// need not be a small one.
	segmentExtra = 64 << 10

	// maxWaiting bounds the queue, in tasks that hold no content, and maxWorking in
	// those that do: 2 MiB each of LZ4, whatever the number of processors.
	maxWaiting = 1024
	maxWorking = 20

	// maxWorkers bounds the encoders, and maxEncoders the bytes that they take.
	maxWorkers  = 16
	maxEncoders = 80 << 20
)

// press is the part of a Writer that compresses. What a call brings goes into
// a queue, in order of arrival, and to a worker if it is content; what comes out
// at the queue's other end gets its place in the image. So the image does not
// show how many workers there were or which one was first.
type press struct {
	w       *Writer
	codec   Codec
	cluster int  // most bytes of a physical cluster
	single  bool // no kernel has to know clusters of several blocks
	input   int  // most content of one
	segment int  // content that a worker takes in one go
	zeros   zeroClusters

	workers chan *worker // those at rest
	queue   []*task
	working int // tasks in the queue that are or were with a worker
	limit   int // of them
	free    []*task

	fragments bool // ends of files may go into the packed inode,
	tails     bool // or behind their inode
	packed    packed

	largest int // blocks of a cluster
}

func newPress(w *Writer, o Options) *press {
	p := &press{w: w, codec: o.Codec}
	p.input = min(max(o.Codec.MaxInput(), BlockSize), maxInput) &^ (BlockSize - 1)
	switch o.Codec.Algorithm() {
	case LZ4:
		p.cluster = clusterSize(o, defaultCluster)
		p.segment = segmentInput
		if p.single = !w.may(usesClusters); p.single {
			p.cluster = BlockSize
		}
	default:
		if w.kernel.Compare(usesZSTD.since()) < 0 {
			w.kernel = usesZSTD.since()
		}
		p.cluster = clusterSize(o, maxPacked)
		p.segment = max(p.input, minSegment/p.input*p.input)
	}
	p.input = min(p.input, p.segment+segmentExtra)
	p.zeros = newZeroClusters(o.Codec, p.cluster)
	p.fragments = w.may(usesFragments)
	p.tails = w.may(usesTails) && !p.fragments
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = max(min(workers, maxWorkers, maxEncoders/max(o.Codec.Memory(), 1)), 1)
	p.workers = make(chan *worker, workers)
	for range workers {
		p.workers <- nil // made when there is work
	}
	p.limit = min(2*workers+1, maxWorking)
	return p
}

// clusterSize returns the size that o asks for, or usual.
func clusterSize(o Options, usual int) int {
	if o.ClusterSize <= 0 {
		return usual
	}
	return min(max(o.ClusterSize, BlockSize), maxPacked) &^ (BlockSize - 1)
}

// Bounds of what a worker is given.
const (
	defaultCluster = 64 << 10
	minSegment     = 256 << 10
	maxInput       = segmentInput + segmentExtra
)

// task is an entry of the queue: content on its way into clusters, or something
// else that has to keep its place in the order.
type task struct {
	file  *pending
	whole bool // the file begins and ends with it
	final bool // content ends with the file's
	last  bool // nothing more comes of the file

	in     []byte
	out    []byte // clusters in whole blocks, one behind the other
	pieces []piece
	done   chan struct{} // nil if no worker has to see it

	zeros int64 // bytes of a run of zeros, instead of content
}

// task returns an empty task for content, for which it may have to make room.
func (p *press) task() (*task, error) {
	for p.working >= p.limit || len(p.queue) >= maxWaiting {
		if err := p.collect(); err != nil {
			return nil, err
		}
	}
	if n := len(p.free); n > 0 {
		t := p.free[n-1]
		p.free = p.free[:n-1]
		return t, nil
	}
	return &task{in: make([]byte, 0, p.segment+segmentExtra), done: make(chan struct{}, 1)}, nil
}

// add puts something without content into the queue.
func (p *press) add(t *task) error {
	if len(p.queue) >= maxWaiting {
		if err := p.collect(); err != nil {
			return err
		}
	}
	p.queue = append(p.queue, t)
	return nil
}

// start puts content into the queue and passes it on to a worker.
func (p *press) start(t *task) {
	p.queue = append(p.queue, t)
	p.working++
	go func() {
		w := <-p.workers
		if w == nil {
			w = newWorker(p)
		}
		w.compress(t)
		p.workers <- w
		t.done <- struct{}{}
	}()
}

// collect takes the oldest task from the queue and gives its file what it
// brought.
func (p *press) collect() error {
	t := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	if t.done != nil {
		<-t.done
		p.working--
	}
	if err := p.emit(t); err != nil {
		return p.w.fail(err)
	}
	if t.done != nil {
		p.release(t)
	}
	return nil
}

// release makes a task for content ready to be taken again.
func (p *press) release(t *task) {
	*t = task{in: t.in[:0], out: t.out[:0], pieces: t.pieces[:0], done: t.done}
	p.free = append(p.free, t)
}

// fill reads the next n bytes of a task's content.
func (p *press) fill(t *task, n int, r io.Reader) error {
	before := len(t.in)
	t.in = t.in[:before+n]
	return p.w.readFull(r, t.in[before:])
}

// finish empties the queue and places the packed inode.
func (p *press) finish() error {
	if err := p.closePacked(); err != nil {
		return err
	}
	for len(p.queue) > 0 {
		if err := p.collect(); err != nil {
			return err
		}
	}
	return nil
}
