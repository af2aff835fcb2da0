package ddi_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/ddi"
	"inlay/internal/gpt"
)

// later is a signature that differs from those that images are built with.
func later(size int) signer {
	return func(root ddi.RootHash) *ddi.Signature {
		s := signature(size)(root)
		s.Fingerprint[5] = 1
		return s
	}
}

// attachCase is an image and a signature that goes into it in place.
type attachCase struct {
	make func(t testing.TB) (*memory, ddi.RootHash)
	sig  signer
}

func inPlaceCases() map[string]attachCase {
	built := func(s signer, reserve bool) func(t testing.TB) (*memory, ddi.RootHash) {
		return func(t testing.TB) (*memory, ddi.RootHash) { return build(t, 20, options(t), s, reserve) }
	}
	return map[string]attachCase{
		"deferred":          {built(noSignature, true), later(1200)},
		"replaced":          {built(signature(1200), true), later(1500)},
		"replaced, shorter": {built(signature(1500), true), later(300)},
		"unsigned":          {built(noSignature, false), later(1200)},
		"unsigned, large":   {built(noSignature, false), later(13000)},
		"foreign":           {foreign{}.build, later(1200)},
		"foreign, 1024":     {foreign{sector: 1024, designator: gpt.Usr}.build, later(1200)},
		"no room in it": {func(t testing.TB) (*memory, ddi.RootHash) {
			return foreign{signature: foreignText(t, 300), room: 1024}.build(t)
		}, later(1200)},
		"bytes behind it": {func(t testing.TB) (*memory, ddi.RootHash) {
			f, root := build(t, 20, options(t), noSignature, false)
			end := f.end
			f.end += 100 << 10
			clear(f.b[end:f.end])
			copy(f.b[end:], "what an interrupted attach left")
			return f, root
		}, later(1200)},
	}
}

func TestAttach(t *testing.T) {
	t.Parallel()
	for name, test := range inPlaceCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, root := test.make(t)
			before := open(t, f)
			data := readAll(t, before.FileSystem())
			size, err := ddi.Attach(f, f.end, test.sig(root))
			if err != nil {
				t.Fatal(err)
			}
			if size != f.end || size < before.Table.Size {
				t.Errorf("%d bytes said, %d in the file, %d before", size, f.end, before.Table.Size)
			}
			im := open(t, f)
			if len(im.Table.Damage) > 0 {
				t.Errorf("damage %v", im.Table.Damage)
			}
			if got, err := im.RootHash(); err != nil || got != root {
				t.Errorf("root hash %x, want %x: %v", got, root, err)
			}
			if !bytes.Equal(readAll(t, im.FileSystem()), data) {
				t.Error("the data has changed")
			}
			sig, err := im.Signature()
			if diff := cmp.Diff(test.sig(root), sig); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
			if im.Table.Offset(*im.Signed)%4096 != 0 {
				t.Errorf("signature partition at %d", im.Table.Offset(*im.Signed))
			}
			if im.Table.DiskGUID != before.Table.DiskGUID || im.Table.FirstUsable != before.Table.FirstUsable {
				t.Error("the disk is another")
			}
			// It can be replaced again, and now without growing.
			again, err := ddi.Attach(f, f.end, signature(900)(root))
			if test.sig(root).PKCS7 != nil && len(test.sig(root).PKCS7) < 3000 && (err != nil || again != size) {
				t.Errorf("again: %d bytes, %v", again, err)
			}
		})
	}
}

// operation is one call on a file.
type operation struct {
	kind string // "write", "truncate", "sync"
	off  int64  // or the size
	data []byte
}

// recorder keeps what is done to a file.
type recorder struct {
	*memory
	log []operation
}

func (r *recorder) WriteAt(p []byte, off int64) (int, error) {
	r.log = append(r.log, operation{"write", off, bytes.Clone(p)})
	return r.memory.WriteAt(p, off)
}

func (r *recorder) Truncate(size int64) error {
	r.log = append(r.log, operation{"truncate", size, nil})
	return r.memory.Truncate(size)
}

func (r *recorder) Sync() error {
	r.log = append(r.log, operation{kind: "sync"})
	return nil
}

// apply does o to the content of a file, which grows as files do.
func (o operation) apply(b []byte) []byte {
	switch o.kind {
	case "truncate":
		return append(b[:min(o.off, int64(len(b)))], make([]byte, max(0, o.off-int64(len(b))))...)
	case "write":
		if need := o.off + int64(len(o.data)) - int64(len(b)); need > 0 {
			b = append(b, make([]byte, need)...)
		}
		copy(b[o.off:], o.data)
	}
	return b
}

// version describes an image as a reader sees it, including its data and what
// is damaged in its partition table.
func version(b []byte) string {
	im, err := ddi.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(im.Table.Damage, mended(b))
}

// mended is version without the damage.
func mended(b []byte) string {
	im, err := ddi.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err.Error()
	}
	root, rootErr := im.RootHash()
	sig, sigErr := im.Signature()
	data := make([]byte, im.FileSystem().Size())
	_, dataErr := im.FileSystem().ReadAt(data, 0)
	return fmt.Sprint(im.Table.Partitions, im.Table.Size, root, rootErr, sig, sigErr, sha256.Sum256(data), dataErr)
}

// TestAttachInterrupted looks at the file as it can be after a crash: writes
// before the last completed sync are there, of those after it any may be and
// any may not, and a write may have stopped at any sector. The switch itself is
// held to be whole if it is the signature's text; if it is the partition table,
// a torn one is damage that the backup mends.
func TestAttachInterrupted(t *testing.T) {
	t.Parallel()
	for name, test := range inPlaceCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, root := test.make(t)
			start := bytes.Clone(f.bytes())
			r := &recorder{memory: f}
			if _, err := ddi.Attach(r, f.end, test.sig(root)); err != nil {
				t.Fatal(err)
			}
			before, after := version(start), version(f.bytes())
			if before == after {
				t.Fatal("nothing has changed")
			}
			if r.log[len(r.log)-1].kind != "sync" {
				t.Errorf("the last operation is a %s", r.log[len(r.log)-1].kind)
			}
			steps := splitAtSync(r.log)
			turn := steps[len(steps)-1]
			if len(turn) != 1 || len(turn[0].data) > 4096 || turn[0].off%4096 != 0 {
				t.Fatalf("the switch is %d writes", len(turn))
			}
			settled := start
			for i, step := range steps {
				last := i == len(steps)-1
				for c := range crashes(settled, step) {
					got := version(c.state)
					switch {
					case got == before, last && got == after:
					case last && c.torn && (mended(c.state) == mended(start) || mended(c.state) == mended(f.bytes())):
					default:
						t.Errorf("step %d, %s: the image is neither old nor new: %s", i, c.name, got)
					}
				}
				for _, o := range step {
					settled = o.apply(bytes.Clone(settled))
				}
			}
			if version(settled) != after {
				t.Error("the replay does not give the new image")
			}
		})
	}
}

func splitAtSync(log []operation) [][]operation {
	var steps [][]operation
	var step []operation
	for _, o := range log {
		if o.kind != "sync" {
			step = append(step, o)
			continue
		}
		steps, step = append(steps, step), nil
	}
	return steps
}

// crash is a state in which a crash can leave a file.
type crash struct {
	name  string
	torn  bool
	state []byte
}

// crashes yields the states after a crash during step: with any of its
// operations done, and with one write torn.
func crashes(settled []byte, step []operation) iter.Seq[crash] {
	return func(yield func(crash) bool) {
		for set := range 1 << len(step) {
			state := bytes.Clone(settled)
			for i, o := range step {
				if set&(1<<i) != 0 {
					state = o.apply(state)
				}
			}
			if !yield(crash{fmt.Sprintf("operations %b", set), false, state}) {
				return
			}
		}
		state := settled
		for i, o := range step {
			if o.kind == "write" && (len(step) > 1 || o.off == 0) {
				for n := 512; n < len(o.data); n += 512 {
					first, rest := operation{"write", o.off, o.data[:n]}, operation{"write", o.off + int64(n), o.data[n:]}
					if !yield(crash{fmt.Sprintf("%d bytes of operation %d", n, i), true, first.apply(bytes.Clone(state))}) ||
						!yield(crash{fmt.Sprintf("all but %d bytes of operation %d", n, i), true, rest.apply(bytes.Clone(state))}) {
						return
					}
				}
			}
			state = o.apply(bytes.Clone(state))
		}
	}
}

// failing is a file on which the operation number left, from 0, and all after
// it fail.
type failing struct {
	*memory
	left int
}

var errDisk = errors.New("no disk")

func (f *failing) fail() error {
	f.left--
	if f.left < 0 {
		return errDisk
	}
	return nil
}

func (f *failing) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fail(); err != nil {
		return 0, err
	}
	return f.memory.WriteAt(p, off)
}

func (f *failing) Truncate(size int64) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.memory.Truncate(size)
}

func (f *failing) Sync() error { return f.fail() }

// TestAttachFails gives every operation its failure: it must be told, and
// nothing may be written after it.
func TestAttachFails(t *testing.T) {
	t.Parallel()
	for name, test := range inPlaceCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, root := test.make(t)
			r := &recorder{memory: f}
			if _, err := ddi.Attach(r, f.end, test.sig(root)); err != nil {
				t.Fatal(err)
			}
			after := version(f.bytes())
			for n := range r.log {
				f, _ := test.make(t)
				before := version(f.bytes())
				_, err := ddi.Attach(&failing{f, n}, f.end, test.sig(root))
				if !errors.Is(err, errDisk) {
					t.Errorf("operation %d fails: %v", n, err)
				}
				want := before
				if n == len(r.log)-1 {
					want = after // only the last sync has failed
				}
				if got := version(f.bytes()); got != want {
					t.Errorf("operation %d fails: %s", n, got)
				}
			}
		})
	}
}

// full is a file on a full disk: it grows by holes only.
type full struct {
	*memory
	size int64 // that is stored
}

func (f full) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.size {
		return 0, errDisk
	}
	return f.memory.WriteAt(p, off)
}

// TestAttachDiskFull: the image's own length is part of what it was.
func TestAttachDiskFull(t *testing.T) {
	t.Parallel()
	f, root := build(t, 20, options(t), noSignature, false)
	before := bytes.Clone(f.bytes())
	if _, err := ddi.Attach(full{f, f.end}, f.end, later(1200)(root)); !errors.Is(err, errDisk) {
		t.Errorf("error %v", err)
	}
	if !bytes.Equal(before, f.bytes()) {
		t.Errorf("an image of %d bytes became one of %d", len(before), f.end)
	}
}

func TestAttachNotInPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]attachCase{
		"long text": {func(t testing.TB) (*memory, ddi.RootHash) { return build(t, 20, options(t), signature(300), false) }, later(4000)},
		"long before": {func(t testing.TB) (*memory, ddi.RootHash) {
			return build(t, 20, options(t), signature(4000), false)
		}, later(300)},
		"sectors of 2048": {foreign{sector: 2048}.build, later(300)},
		"sectors of 4096": {foreign{sector: 4096}.build, later(300)},
		"off the grain": {func(t testing.TB) (*memory, ddi.RootHash) {
			return foreign{slack: 512, signature: foreignText(t, 200), room: 8192}.build(t)
		}, later(300)},
		"rubbish behind the text": {func(t testing.TB) (*memory, ddi.RootHash) {
			return foreign{signature: append(make([]byte, 5000), 1), room: 8192}.build(t)
		}, later(300)},
		"entries 5 and on": {func(t testing.TB) (*memory, ddi.RootHash) {
			return foreign{table: func(tab *gpt.Table) {
				for i := range tab.Partitions {
					tab.Partitions[i].Number += 22
				}
			}}.build(t)
		}, later(300)},
		"damaged table": {func(t testing.TB) (*memory, ddi.RootHash) {
			f, root := build(t, 20, options(t), noSignature, false)
			f.b[520]++
			return f, root
		}, later(300)},
		"damaged backup, signed": {func(t testing.TB) (*memory, ddi.RootHash) {
			f, root := build(t, 20, options(t), signature(300), false)
			f.b[f.end-500]++
			return f, root
		}, later(300)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, root := test.make(t)
			before := bytes.Clone(f.bytes())
			if _, err := ddi.Attach(f, f.end, test.sig(root)); !errors.Is(err, ddi.ErrNotInPlace) {
				t.Fatalf("error %v", err)
			}
			if !bytes.Equal(before, f.bytes()) {
				t.Fatal("the file has changed")
			}
			size, err := ddi.AttachCopy(f, f.end, test.sig(root))
			if err != nil {
				t.Fatal(err)
			}
			if size != f.end {
				t.Errorf("%d bytes said, %d in the file", size, f.end)
			}
			im := open(t, f)
			sig, err := im.Signature()
			if diff := cmp.Diff(test.sig(root), sig); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
			if got, err := im.RootHash(); err != nil || got != root || len(im.Table.Damage) > 0 {
				t.Errorf("root hash %x, damage %v: %v", got, im.Table.Damage, err)
			}
		})
	}
}

func TestAttachRefuses(t *testing.T) {
	t.Parallel()
	broken, _ := foreign{table: set(1, func(p *gpt.Partition) { p.GUID[0]++ })}.build(t)
	whole, root := foreign{}.build(t)
	plain, _ := foreign{table: func(tab *gpt.Table) { tab.Partitions = tab.Partitions[:1] }}.build(t)
	for name, test := range map[string]struct {
		f    *memory
		sig  *ddi.Signature
		want string
	}{
		"another root hash":    {whole, signature(300)(ddi.RootHash{1}), "not for the image's root hash"},
		"no signature":         {whole, nil, "not for the image's root hash"},
		"empty signature":      {whole, signature(0)(root), "0 bytes of PKCS#7"},
		"root hash in dispute": {broken, signature(300)(root), "but the hash tree has"},
		"no verity":            {plain, signature(300)(root), "no verity partition"},
		"no image":             {newMemory(1 << 20), signature(300)(root), "no GUID partition table"},
	} {
		for what, attach := range map[string]func(ddi.SyncFile, int64, *ddi.Signature) (int64, error){"in place": ddi.Attach, "copy": ddi.AttachCopy} {
			if _, err := attach(test.f, test.f.end, test.sig); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, %s: error %v, want %q", name, what, err, test.want)
			}
		}
	}
}
