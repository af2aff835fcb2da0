package media

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"inlay/internal/tree"
)

// Compressing as an initrd takes a second for about 15 MB and core. So all is
// compressed in a quicker way, and a sample in both.
const (
	quickLevel = zstd.SpeedDefault
	// sampleSize bounds the sample, in bytes, and pieceSize its pieces.
	sampleSize = 32 << 20
	pieceSize  = 2 << 20
)

// folders measures the pieces of the system.
func (p *planner) folders(ctx context.Context) error {
	r := p.result
	for _, m := range p.all {
		r.Content += m.size()
		if m.last && m.node.Kind() == tree.Regular {
			r.Files++
		}
	}
	list := p.system.pieces(p.all)
	quick, factor := level, 1.0
	if r.Content > sampleSize {
		quick = quickLevel
		var err error
		if factor, err = p.sample(ctx); err != nil {
			return err
		}
	}
	var runs []run
	for i, f := range list {
		for _, members := range frames(f.members, frameSize) {
			runs = append(runs, run{i, members})
		}
	}
	sizes, err := p.measure(ctx, quick, runs, len(list))
	if err != nil {
		return err
	}
	for i, f := range list {
		f.members = nil
		row := PlanFolder{Folder: f, Packed: int64(float64(sizes[i]) * factor)}
		if r.Content > 0 {
			row.Share = float64(f.Size) / float64(r.Content)
		}
		r.Packed += row.Packed
		r.Folders = append(r.Folders, row)
	}
	return nil
}

// sample returns how much smaller the initrd's compression is than the quick one.
func (p *planner) sample(ctx context.Context) (float64, error) {
	all := frames(p.all, pieceSize)
	all = slices.DeleteFunc(all, func(members []*member) bool { return contentOf(members) > sampleSize/2 })
	step := max(len(all)*pieceSize/sampleSize, 1)
	var runs []run
	var size int64
	for i := 0; i < len(all) && size < sampleSize; i += step {
		runs = append(runs, run{0, all[i]})
		size += contentOf(all[i])
	}
	if len(runs) == 0 {
		return 1, nil
	}
	quick, err := p.measure(ctx, quickLevel, runs, 1)
	if err != nil {
		return 0, err
	}
	initrd, err := p.measure(ctx, level, runs, 1)
	if err != nil {
		return 0, err
	}
	return float64(initrd[0]) / float64(quick[0]), nil
}

// run is a frame and the sum that its size counts for.
type run struct {
	sum     int
	members []*member
}

// measure compresses runs on all cores and adds up their sizes.
func (p *planner) measure(ctx context.Context, level zstd.EncoderLevel, runs []run, sums int) ([]int64, error) {
	c := compressor{system: p.system, level: level}
	sizes := make([]atomic.Int64, sums)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers())
	for _, r := range runs {
		group.Go(func() error {
			var n counter
			err := c.frame(ctx, &n, r.members, false)
			sizes[r.sum].Add(int64(n))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	list := make([]int64, sums)
	for i := range sizes {
		list[i] = sizes[i].Load()
	}
	return list, nil
}

// pack compresses what is to move as the initrd is.
func (p *planner) pack(ctx context.Context) error {
	for i := range p.result.Moves {
		move := &p.result.Moves[i]
		var members []*member
		for _, m := range p.all {
			if !within(m.name, strings.TrimPrefix(move.Path, "/")) {
				continue
			}
			members = append(members, m)
			move.Size += m.size()
			if m.last && m.node.Kind() == tree.Regular {
				move.Files++
			}
		}
		var runs []run
		for _, f := range frames(members, frameSize) {
			runs = append(runs, run{0, f})
		}
		sizes, err := p.measure(ctx, level, runs, 1)
		if err != nil {
			return err
		}
		move.Packed = sizes[0]
	}
	return nil
}
