package tree

import (
	"context"
	"io"
)

// What is read ahead of a folder is bounded: batches of so many entries, and of
// so many bytes of small files.
const (
	aheadBatches = 3
	aheadEntries = 256
	aheadBytes   = 256 << 10
	aheadFile    = 64 << 10 // a larger file is read when it is asked for
)

// batch is a piece of what a walk found.
type batch struct {
	items []item
	text  []byte // of the small files
}

// item is an entry, with its content.
type item struct {
	entry Entry
	text  []byte // content that was read, or
	later *fileContent
}

// full says that nothing more goes into the batch.
func (b *batch) full() bool {
	return len(b.items) == aheadEntries || len(b.text) > aheadBytes-aheadFile
}

// ahead is a walk that runs ahead of who looks at what it finds: asking for a
// small file takes longer than packing it.
type ahead struct {
	ctx  context.Context // of the one walk
	free chan *batch
	out  chan *batch
	now  *batch
	err  error // of the walk, once out is closed
}

// walkAhead has walk find things in a goroutine of its own, and calls fn for
// them in the same order. It returns when both have ended.
func walkAhead(ctx context.Context, walk func(*ahead) error, fn func(*Entry, io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{ctx: ctx, free: make(chan *batch, aheadBatches), out: make(chan *batch, aheadBatches)}
	for range aheadBatches {
		a.free <- &batch{}
	}
	go func() {
		defer close(a.out)
		if a.err = walk(a); a.err == nil {
			a.err = a.pass()
		} else {
			// What came before counts, whatever went wrong then.
			_ = a.pass()
		}
	}()
	defer func() {
		cancel()
		for range a.out { // until the walk has ended
		}
	}()
	for b := range a.out {
		for i := range b.items {
			if err := b.items[i].give(fn); err != nil {
				return err
			}
		}
		b.items, b.text = b.items[:0], b.text[:0]
		a.free <- b // never blocks: there is room for all
	}
	return a.err
}

// room returns the batch to add to.
func (a *ahead) room() (*batch, error) {
	if a.now != nil && a.now.full() {
		if err := a.pass(); err != nil {
			return nil, err
		}
	}
	if a.now == nil {
		select {
		case a.now = <-a.free:
		case <-a.ctx.Done():
			return nil, a.ctx.Err()
		}
		if a.now.text == nil { // not before it is needed: most folders are small
			a.now.items = make([]item, 0, aheadEntries)
			a.now.text = make([]byte, 0, aheadBytes)
		}
	}
	return a.now, nil
}

// pass passes the batch on.
func (a *ahead) pass() error {
	if a.now != nil {
		a.out <- a.now // never blocks: as deep as there are batches
		a.now = nil
	}
	return a.ctx.Err()
}

// add appends an entry. Its content, if it has any, is text, in the batch's own
// memory, or later.
func (b *batch) add(e *Entry, text []byte, later *fileContent) {
	b.items = append(b.items, item{*e, text, later})
}

// give calls fn.
func (i *item) give(fn func(*Entry, io.Reader) error) error {
	switch {
	case i.entry.Kind != Regular:
		return fn(&i.entry, nil)
	case i.later == nil:
		return fn(&i.entry, &textReader{i.text})
	}
	err := fn(&i.entry, i.later)
	if closeErr := i.later.close(); err == nil {
		err = closeErr
	}
	return err
}

// textReader reads what is in memory.
type textReader struct{ left []byte }

func (t *textReader) Read(p []byte) (int, error) {
	if len(t.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, t.left)
	t.left = t.left[n:]
	return n, nil
}
