package erofs_test

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"inlay/internal/erofs"
)

// memory is a Device in memory. Like a real one it has few buffers, gives them
// out dirty, and writes on other goroutines.
type memory struct {
	pool  chan []byte
	tasks sync.WaitGroup

	mu      sync.Mutex
	image   []byte
	written map[int64]bool // blocks; each may be written once
	err     error

	failAt                  int64 // a Write that covers this offset fails; negative for never
	failReadAt, failRewrite bool
}

// buffers is what a Writer may hold; one more and a test hangs.
const buffers = 2

func newMemory() *memory {
	m := &memory{pool: make(chan []byte, buffers), written: make(map[int64]bool), failAt: -1}
	for range buffers {
		m.pool <- make([]byte, erofs.BufferSize)
	}
	return m
}

func (m *memory) Buffer() []byte {
	buf := <-m.pool
	buf[0] = 0xa5
	for n := 1; n < len(buf); n *= 2 {
		copy(buf[n:], buf[:n])
	}
	return buf
}

func (m *memory) Write(buf []byte, off int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tasks.Go(func() {
		m.put(buf, off)
		m.pool <- buf[:cap(buf)]
	})
	return m.err
}

func (m *memory) put(buf []byte, off int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	end := off + int64(len(buf))
	if off <= m.failAt && m.failAt < end {
		m.fail(errDisk)
		return
	}
	if off%erofs.BlockSize != 0 || len(buf)%erofs.BlockSize != 0 || len(buf) == 0 {
		m.fail(fmt.Errorf("write of %d bytes at %d is not in whole blocks", len(buf), off))
		return
	}
	for at := off; at < end; at += erofs.BlockSize {
		if m.written[at] {
			m.fail(fmt.Errorf("block at %d is written twice", at))
		}
		m.written[at] = true
	}
	if grow := end - int64(len(m.image)); grow > 0 {
		m.image = append(m.image, make([]byte, grow)...)
	}
	copy(m.image[off:], buf)
}

func (m *memory) fail(err error) {
	if m.err == nil {
		m.err = err
	}
}

func (m *memory) Flush() error {
	m.tasks.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if m.failReadAt {
		return 0, errDisk
	}
	if off >= int64(len(m.image)) {
		return 0, io.EOF
	}
	n := copy(p, m.image[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) Rewrite(p []byte, off int64) error {
	if m.failRewrite {
		return errDisk
	}
	for at := off; at < off+int64(len(p)); at += erofs.BlockSize {
		if !m.written[at] {
			return fmt.Errorf("block at %d is rewritten but was never written", at)
		}
	}
	copy(m.image[off:], p)
	return nil
}

// errDisk is what a failing device says.
var errDisk = errors.New("disk on fire")

// discard is a Device that keeps nothing, for benchmarks.
type discard struct{ free [][]byte }

func (d *discard) Buffer() []byte {
	if n := len(d.free); n > 0 {
		buf := d.free[n-1]
		d.free = d.free[:n-1]
		return buf
	}
	return make([]byte, erofs.BufferSize)
}

func (d *discard) Write(buf []byte, _ int64) error {
	d.free = append(d.free, buf[:cap(buf)])
	return nil
}

func (d *discard) Flush() error { return nil }

func (d *discard) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }

func (d *discard) Rewrite([]byte, int64) error { return nil }
