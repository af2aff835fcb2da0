package inflate_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"inlay/internal/inflate"
)

// guarded fails the test if it is read beyond what may be.
type guarded struct {
	t    *testing.T
	b    []byte
	step int
	may  int // bytes that may be asked for
	at   int
}

func (g *guarded) Read(p []byte) (int, error) {
	if g.at == len(g.b) {
		return 0, io.EOF
	}
	if g.at >= g.may {
		g.t.Fatalf("byte %d is asked for before what comes of %d was given", g.at, g.may)
	}
	n := copy(p[:min(len(p), g.step)], g.b[g.at:g.may])
	g.at += n
	return n, nil
}

// TestAsksForNoMore: what a writer has flushed comes out before the next byte
// is there, so that a build can begin while a blob is still coming.
func TestAsksForNoMore(t *testing.T) {
	t.Parallel()
	for _, step := range []int{1, 7, 1 << 20} {
		for _, level := range levels() {
			var packed bytes.Buffer
			w, err := gzip.NewWriterLevel(&packed, level)
			if err != nil {
				t.Fatal(err)
			}
			type mark struct{ packed, plain int }
			var marks []mark
			plain := plains()["words"][:200_000]
			for at := 0; at < len(plain); {
				n := min(1+at, 70_000, len(plain)-at)
				if _, err := w.Write(plain[at : at+n]); err != nil {
					t.Fatal(err)
				}
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
				at += n
				marks = append(marks, mark{packed.Len(), at})
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			g := &guarded{t: t, b: packed.Bytes(), step: step, may: marks[0].packed}
			r, err := inflate.NewReader(g)
			if err != nil {
				t.Fatal(err)
			}
			at := 0
			for _, m := range marks {
				g.may = m.packed
				got := make([]byte, m.plain-at)
				if _, err := io.ReadFull(r, got); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, plain[at:m.plain]) {
					t.Fatalf("level %d: bytes %d to %d differ", level, at, m.plain)
				}
				at = m.plain
			}
		}
	}
}

// TestSourceFails: an error of the source is returned as it is, after what came
// before it, and again.
func TestSourceFails(t *testing.T) {
	t.Parallel()
	lost := errors.New("the line is dead")
	plain := plains()["words"]
	packed := pack(t, plain, 6)
	half := packed[:len(packed)/2]
	r, err := inflate.NewReader(io.MultiReader(bytes.NewReader(half), iotest.ErrReader(lost)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if !errors.Is(err, lost) {
		t.Errorf("error %v", err)
	}
	if want := witness(half); !bytes.HasPrefix(got, want.plain) || !bytes.HasPrefix(plain, got) || len(got) == 0 {
		t.Errorf("%d bytes before the error, want %d", len(got), len(want.plain))
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, lost) {
		t.Errorf("the second time: %v", err)
	}
	if _, err := inflate.NewReader(iotest.ErrReader(lost)); !errors.Is(err, lost) {
		t.Errorf("at the start: %v", err)
	}
	if _, err := inflate.NewReader(idle{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("without progress: %v", err)
	}
}

// idle returns neither bytes nor an error.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// TestBounded: 64 MiB of zeros cost no more memory than a kilobyte. It cannot be
// parallel: allocations are counted for the whole process.
func TestBounded(t *testing.T) {
	packed := pack(t, make([]byte, 64<<20), 9)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := inflate.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, struct{ io.Reader }{r}); n != 64<<20 || err != nil {
		t.Fatal(n, err)
	}
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	if allocated > 512<<10 {
		t.Errorf("%d bytes are allocated", allocated)
	}
}

// TestAsksForNoMoreWithinABlock: what the bytes so far tell comes out, if it is
// in the middle of a block and nothing but a single letter.
func TestAsksForNoMoreWithinABlock(t *testing.T) {
	t.Parallel()
	var b bits
	b.header(true, 1)
	plain := []byte("letters, eight bits each, behind three of a header")
	for _, c := range plain {
		b.code(0x30+uint(c), 8)
	}
	b.code(0, 7)
	packed := b.member(plain)
	g := &guarded{t: t, b: packed, step: 1 << 20, may: 10}
	r, err := inflate.NewReader(g)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range plain {
		g.may = 10 + i + 2 // the first two bytes hold the header and one letter
		var got [1]byte
		if n, err := r.Read(got[:]); n != 1 || err != nil || got[0] != want {
			t.Fatalf("letter %d is %q, %v", i, got[:n], err)
		}
	}
	g.may = len(packed)
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end %d bytes, %v", n, err)
	}
}
