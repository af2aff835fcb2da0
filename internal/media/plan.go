package media

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"inlay/internal/hint"
	"inlay/internal/tree"
)

// PlanResult says what a system with its whole root as initrd is made of, and
// what moving folders into an extension would save. Its JSON form is documented
// in docs/json.md and stays compatible.
type PlanResult struct {
	Source Origin `json:"source"`
	System string `json:"system"`
	Files  int    `json:"files"`
	// Content is the size of all files, Packed about that of the compressed
	// initrd, Kernel that of the kernel, and EFI of all that makes the program.
	Content int64 `json:"content"`
	Packed  int64 `json:"packed"`
	Kernel  int64 `json:"kernel"`
	EFI     int64 `json:"efi"`
	// Folders do not overlap, and come the biggest first.
	Folders []PlanFolder `json:"folders"`
	Moves   []Move       `json:"moves,omitempty"`
	// Saved is what the moves take from Content, SavedPacked from Packed and EFI,
	// and After is EFI without it.
	Saved       int64 `json:"saved"`
	SavedPacked int64 `json:"savedPacked"`
	After       int64 `json:"after"`
	// Notes are worth knowing; Warnings are likely mistakes.
	Notes    []string `json:"notes,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// PlanFolder is a folder and its part of the whole.
type PlanFolder struct {
	Folder
	Share  float64 `json:"share"`  // of Content, from 0 to 1
	Packed int64   `json:"packed"` // about; in bytes
}

// Move is a folder or file that would go into an extension.
type Move struct {
	Path  string `json:"path"`
	Size  int64  `json:"size"`
	Files int    `json:"files"`
	// Packed is what it takes, compressed as the initrd would be.
	Packed int64 `json:"packed"`
	// Stays says why it cannot move; then it counts as nothing saved.
	Stays string `json:"stays,omitempty"`
}

// PlanOptions say what to look into.
type PlanOptions struct {
	// Move are paths in the system.
	Move []string
	// Architecture of the kernel, in systemd's words; "" is any.
	Architecture string
	// Kernel names one of several; see UKIOptions.
	Kernel string
	// WarnSize is above how many bytes the EFI program gets a warning; 0 is never.
	WarnSize int64
}

// stubSize is about what a stub and its texts take, in bytes.
const stubSize = 128 << 10

// Plan takes a system to pieces. An error is fs.ErrNotExist if a path to move is
// not there.
func Plan(ctx context.Context, s *System, o PlanOptions) (*PlanResult, error) {
	p := planner{system: s, options: o, all: s.members(packed), result: &PlanResult{Notes: s.notes}}
	if err := p.makeMoves(); err != nil {
		return nil, err
	}
	if err := p.kernel(); err != nil {
		return nil, err
	}
	if err := p.folders(ctx); err != nil {
		return nil, err
	}
	if err := p.pack(ctx); err != nil {
		return nil, err
	}
	p.sum()
	return p.result, nil
}

type planner struct {
	system  *System
	options PlanOptions
	all     []*member
	result  *PlanResult
}

// makeMoves finds what is to move.
func (p *planner) makeMoves() error {
	for _, given := range p.options.Move {
		at, _, err := p.system.resolve(strings.TrimPrefix(path.Clean("/"+given), "/"))
		if err != nil {
			return hint.Wrap(fmt.Errorf("looking for %q in the source: %w", given, fs.ErrNotExist), "name a folder or file of the system; without --move the biggest are listed")
		}
		if !packed(at) || at == "" {
			return hint.Wrap(fmt.Errorf("%q is not what an image is made of", given), "name a folder or file below /usr or /opt")
		}
		for _, m := range p.result.Moves {
			other := strings.TrimPrefix(m.Path, "/")
			if within(at, other) || within(other, at) {
				return hint.Wrap(fmt.Errorf("%q and %q hold each other", m.Path, "/"+at), "name each path once")
			}
		}
		p.result.Moves = append(p.result.Moves, Move{Path: "/" + at, Stays: p.system.stays(at)})
	}
	return nil
}

// within says whether name is folder, or in it.
func within(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

// kernel looks how large the kernel is; a system without one can be planned too.
func (p *planner) kernel() error {
	if release, err := p.system.Release(); err == nil {
		p.result.System = release.Name()
	}
	if p.options.Kernel == "" && len(p.system.kernels()) == 0 {
		p.result.Notes = append(p.result.Notes, "the source has no kernel, so none is counted")
		return nil
	}
	k, err := p.system.Kernel(p.options.Kernel, p.options.Architecture)
	if err != nil {
		return err
	}
	p.result.Kernel = k.Size
	return nil
}

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

// sum adds up, and says what to think of it.
func (p *planner) sum() {
	r := p.result
	r.EFI = r.Packed + r.Kernel + stubSize
	for _, m := range r.Moves {
		if m.Stays != "" {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s cannot move: %s", m.Path, m.Stays))
			continue
		}
		r.Saved += m.Size
		r.SavedPacked += m.Packed
		if within(strings.TrimPrefix(m.Path, "/"), "usr/lib/firmware") || m.Path == "/usr/lib" {
			r.Warnings = append(r.Warnings, m.Path+": firmware that a driver asks for before extensions are merged would be missing")
		}
	}
	r.SavedPacked = min(r.SavedPacked, r.Packed)
	r.After = r.EFI - r.SavedPacked
	if warn := p.options.WarnSize; warn > 0 && r.After > warn {
		var movable []Folder
		for _, f := range r.Folders {
			if f.movable() && len(movable) < maxMovable && !slices.ContainsFunc(r.Moves, func(m Move) bool { return within(f.Path, m.Path) }) {
				movable = append(movable, f.Folder)
			}
		}
		r.Warnings = append(r.Warnings, SizeWarning("the EFI program", r.After, warn, movable))
	}
}
