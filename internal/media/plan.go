package media

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"inlay/internal/hint"
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
