package erofs_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

	"inlay/internal/erofs"
	"inlay/internal/lz4"
)

// lz4Codec fills a space of fixed size.
type lz4Codec struct{ input int }

func (c lz4Codec) Algorithm() erofs.Algorithm { return erofs.LZ4 }

func (c lz4Codec) MaxInput() int { return c.input }

func (c lz4Codec) WindowLog() uint8 { panic("only zstd has windows") }

func (c lz4Codec) Memory() int { return 0 }

func (c lz4Codec) NewEncoder() erofs.Encoder { return &lz4Encoder{} }

type lz4Encoder struct{ lz4.Encoder }

func (e *lz4Encoder) Compress(dst, src []byte) ([]byte, int, bool) {
	n, used := e.Fast(dst[:cap(dst)], src)
	return dst[:n], used, n < used
}

// zstdCodec takes an input of fixed size.
type zstdCodec struct {
	input int
	level zstd.EncoderLevel
}

func (c zstdCodec) Algorithm() erofs.Algorithm { return erofs.ZSTD }

func (c zstdCodec) MaxInput() int { return c.input }

func (c zstdCodec) WindowLog() uint8 { return 20 }

func (c zstdCodec) Memory() int { return 4 << 20 }

func (c zstdCodec) NewEncoder() erofs.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(c.level), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	if err != nil {
		panic(err)
	}
	return zstdEncoder{e}
}

type zstdEncoder struct{ *zstd.Encoder }

func (e zstdEncoder) Compress(dst, src []byte) ([]byte, int, bool) {
	room := cap(dst)
	out := e.EncodeAll(src, dst[:0])
	return out, len(src), len(out) <= room && len(out) < len(src)
}

// crumbs takes so little at a time that it saves no block.
type crumbs struct{ lz4Codec }

func (c crumbs) NewEncoder() erofs.Encoder { return crumbsEncoder{&lz4Encoder{}} }

type crumbsEncoder struct{ *lz4Encoder }

func (e crumbsEncoder) Compress(dst, src []byte) ([]byte, int, bool) {
	return e.lz4Encoder.Compress(dst, src[:min(len(src), 3000)])
}

// stubborn finds nothing worth it.
type stubborn struct{ erofs.Codec }

func (c stubborn) NewEncoder() erofs.Encoder { return c }

func (stubborn) Compress(dst, _ []byte) ([]byte, int, bool) { return dst, 0, false }

// pressed are the ways to compress, by what they are for.
func pressed() map[string]erofs.Options {
	kernel := func(major, minor int) erofs.Version { return erofs.Version{Major: major, Minor: minor} }
	return map[string]erofs.Options{
		"lz4":                {Codec: lz4Codec{1 << 20}},
		"lz4 oldest":         {Codec: lz4Codec{1 << 20}, Kernel: kernel(5, 4)},
		"lz4 small clusters": {Codec: lz4Codec{1 << 20}, ClusterSize: erofs.BlockSize},
		"lz4 large clusters": {Codec: lz4Codec{1 << 20}, ClusterSize: 1 << 20},
		"lz4 fixed input":    {Codec: lz4Codec{20 << 10}},
		"lz4 tails":          {Codec: lz4Codec{1 << 20}, Kernel: kernel(5, 17)},
		"lz4 small tails":    {Codec: lz4Codec{1 << 20}, Kernel: kernel(5, 17), ClusterSize: erofs.BlockSize},
		"lz4 fragments":      {Codec: lz4Codec{1 << 20}, Kernel: kernel(6, 1)},
		"zstd":               {Codec: zstdCodec{256 << 10, zstd.SpeedFastest}},
		"zstd newest":        {Codec: zstdCodec{1 << 20, zstd.SpeedFastest}, Kernel: kernel(7, 0)},
		"crumbs":             {Codec: crumbs{lz4Codec{1 << 20}}},
		"crumbs tails":       {Codec: crumbs{lz4Codec{1 << 20}}, Kernel: kernel(5, 17)},
		"stubborn":           {Codec: stubborn{lz4Codec{1 << 20}}},
		"stubborn fragments": {Codec: stubborn{lz4Codec{1 << 20}}, Kernel: kernel(6, 1)},
	}
}

// compressible is content of n bytes that shrinks to about a third.
func compressible(n int, seed uint64) []byte {
	words := pattern(4096, seed)
	p := make([]byte, 0, n+16)
	for i := 0; len(p) < n; i++ {
		at := int(words[i%4096])*16 + i%7
		p = append(p, words[at:min(at+9+i%5, 4096)]...)
		p = append(p, byte(i), byte(i>>8))
	}
	return p[:n]
}

// barely is content of n bytes of which LZ4 saves no more than a few in each block.
func barely(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 5))
	p := pattern(n, seed)
	for at := 0; at+1200 < n; at += 1200 {
		copy(p[at+1000:][:10+r.IntN(8)], p[at:])
	}
	return p
}

// mixed is content of n bytes in stretches of all sorts: random, compressible
// and zeros, that begin and end anywhere.
func mixed(n int, seed uint64) []byte {
	p := make([]byte, 0, n+1<<20)
	for i := seed; len(p) < n; i = i*6364136223846793005 + 1442695040888963407 {
		length := 1 + int(i>>33)%(200<<10)
		switch i >> 61 {
		case 0, 1:
			p = append(p, pattern(length, i)...)
		case 2:
			p = append(p, make([]byte, 5*length)...)
		default:
			p = append(p, compressible(length, i)...)
		}
	}
	return p[:n]
}

// hardToPack is a tree of files at the edges of clusters, segments and inodes.
func hardToPack() *node { return keep("hard to pack", makeHardToPack) }

func makeHardToPack() *node {
	root := folder(0o755, nil)
	for _, n := range []int{
		1, 31, 32, 33, 100, 4000, 4095, 4096, 4097, 5000, 8191, 8192, 8193, 12_288, 12_289, 16_384,
		65_535, 65_536, 65_537, 131_072, 200_000, 256<<10 - 1, 256 << 10, 256<<10 + 1, 256<<10 + 5000, 330 << 10,
		1<<20 - 1, 1 << 20, 1<<20 + 1, 1<<20 + 4096, 1<<20 + 65_535, 1<<20 + 65_536, 1<<20 + 65_537, 3<<20 + 123,
	} {
		for kind, content := range map[string]func(int, uint64) []byte{"b": barely, "c": compressible, "m": mixed, "r": pattern, "z": zeros} {
			if n > 300<<10 && kind > "m" {
				continue
			}
			f := file(0o644, content(n, uint64(n)))
			root.children[fmt.Sprint(kind, n)] = f
			if n < 70<<10 {
				root.children[fmt.Sprint(kind, n, "x")] = file(0o600, f.content).with(func(a *erofs.Attr) { a.UID = 70_000 }).
					with(xattrs("user.a", "value", "user.b", string(pattern(n%4000, 3))))
			}
		}
	}
	return root
}

func zeros(n int, _ uint64) []byte { return make([]byte, n) }

// pressedTrees are trees that take all that compression does between them.
func pressedTrees() map[string]*node {
	trees := map[string]*node{"everything": everything(), "edges": hardToPack()}
	for seed := range uint64(2) {
		name := fmt.Sprint("random ", seed)
		trees[name] = keep(name, func() *node { return randomPressed(seed) })
	}
	return trees
}

func TestPressedReadsBack(t *testing.T) {
	t.Parallel()
	for name, o := range sorted(pressed()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for name, root := range sorted(pressedTrees()) {
				compare(t, want(root), readOurs(t, buildWith(t, root, o)), nil)
				if t.Failed() {
					t.Fatal("it is tree ", name)
				}
			}
		})
	}
}

// TestPressedIsStable builds with different numbers of workers.
func TestPressedIsStable(t *testing.T) {
	t.Parallel()
	for name, o := range sorted(pressed()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, root := range []*node{hardToPack(), keep("random 99", func() *node { return randomPressed(99) })} {
				var first []byte
				for _, workers := range []int{1, 2, 3, 17} {
					o.Workers = workers
					image := buildWith(t, root, o)
					if first == nil {
						first = image
					} else if !bytes.Equal(first, image) {
						t.Fatalf("%d workers make another image", workers)
					}
				}
			}
		})
	}
}

// TestPressedRandomly takes random trees, codecs, kernels and numbers of workers.
func TestPressedRandomly(t *testing.T) {
	t.Parallel()
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 4))
			input := erofs.BlockSize * (1 + r.IntN(300))
			o := erofs.Options{Codec: lz4Codec{input}, ClusterSize: erofs.BlockSize * (1 + r.IntN(256)), Workers: 1 + r.IntN(5)}
			o.Kernel = []erofs.Version{{5, 4}, {5, 13}, {5, 15}, {5, 17}, {6, 1}, {6, 12}}[r.IntN(6)]
			if r.IntN(3) == 0 {
				o.Codec = zstdCodec{input, zstd.SpeedFastest}
			}
			root := randomPressed(seed + 1000)
			image := buildWith(t, root, o)
			compare(t, want(root), readOurs(t, image), nil)
			o.Workers = 1 + r.IntN(5)
			if !bytes.Equal(image, buildWith(t, root, o)) {
				t.Errorf("%d workers make another image", o.Workers)
			}
		})
	}
}
