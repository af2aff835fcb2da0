package discover

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/rooted"
	"inlay/internal/version"
)

// Untold stands for a trial counter that a name doesn't have. As a number of
// trials left it is more than any other.
const Untold = math.MaxUint32

// maxName is the longest name that Linux file systems take, in bytes.
const maxName = 255

// Pick is a version of a versioned folder.
type Pick struct {
	// Entry is its name in the folder.
	Entry   string
	Version string
	// Architecture is systemd's word for it, "" if the name has none, or
	// something else in its place.
	Architecture string
	// TriesLeft and TriesDone are counters that others keep, or Untold.
	TriesLeft, TriesDone uint32
	// Passed are the others in the folder.
	Passed []Shadow
}

// Pattern says how the names in a versioned folder are read: Name, "_", a
// version, if wanted "_" and an architecture, if wanted "+" and the trials that
// are left, if wanted "-" and those that were done, and Suffix.
type Pattern struct {
	Name   string
	Suffix string
	// Systemd is the version whose rules count; 0 means the newest known.
	Systemd int
	// Architecture is systemd's word for the host's; "" means this process's.
	Architecture string
}

// Read reads the name of an entry of a versioned folder. The error is why it
// cannot be picked.
func (p Pattern) Read(name string) (Pick, error) {
	rest, found := strings.CutPrefix(name, p.Name+"_")
	if !found {
		return Pick{}, fmt.Errorf("its name doesn't begin with %q", p.Name+"_")
	}
	rest, found = strings.CutSuffix(rest, p.Suffix)
	if !found {
		return Pick{}, fmt.Errorf("its name doesn't end with %q", p.Suffix)
	}
	pick := Pick{Entry: name, TriesLeft: Untold, TriesDone: Untold}
	if at := strings.LastIndexByte(rest, '+'); at >= 0 {
		if left, done, ok := trials(rest[at+1:]); ok {
			rest, pick.TriesLeft, pick.TriesDone = rest[:at], left, done
		}
	}
	// Whatever stands there takes the place of an architecture; only a word that
	// systemd knows is one.
	if at := strings.LastIndexByte(rest, '_'); at >= 0 {
		if word := rest[at+1:]; extension.ArchitectureWord(word) == word {
			pick.Architecture = word
		}
		rest = rest[:at]
	}
	if pick.Architecture != "" && p.preference(pick) < 0 {
		return Pick{}, fmt.Errorf("it is for %s", pick.Architecture)
	}
	pick.Version = rest
	return pick, p.validVersion(rest)
}

// trials reads counters as systemd reads numbers: one that begins with a zero is
// octal.
func trials(text string) (left, done uint32, ok bool) {
	first, second, both := strings.Cut(text, "-")
	left, ok = number(first)
	if ok && both {
		done, ok = number(second)
	}
	return left, done, ok
}

func number(digits string) (uint32, bool) {
	if strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 0, 32)
	return uint32(n), err == nil
}

func (p Pattern) validVersion(text string) error {
	allowed := "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-"
	if rulesOf(Options{Systemd: p.Systemd}).specified() {
		allowed += "~^"
	} else {
		allowed += ",_+"
	}
	switch bad := strings.Trim(text, allowed); {
	case text == "":
		return errors.New("its name has no version")
	case len(text) > maxName:
		return fmt.Errorf("its version has more than %d bytes", maxName)
	case strings.ContainsFunc(text, func(c rune) bool { return !strings.ContainsRune(allowed, c) }):
		return fmt.Errorf("its version %q holds %q, which none may", text, bad)
	}
	return nil
}

// preference says how well an architecture suits the host: 2 if it is its own, 1
// if it runs there, 0 if none is named, -1 if it doesn't suit.
func (p Pattern) preference(pick Pick) int {
	own := cmp.Or(p.Architecture, extension.HostArchitecture())
	switch pick.Architecture {
	case "":
		return 0
	case own:
		return 2
	case secondary(own):
		return 1
	default:
		return -1
	}
}

// secondary is the architecture whose programs a host runs beside its own, by
// systemd's list.
func secondary(own string) string {
	return map[string]string{"x86-64": "x86", "arm64": "arm", "ppc64": "ppc", "ppc64-le": "ppc-le", "s390x": "s390"}[own]
}

// Compare says which of two that Read has read is picked: more than 0 for a.
// Those with trials left come before those without, then the newer version, the
// host's own architecture, more trials left, fewer done, and at last the name
// that is greater bytewise.
func (p Pattern) Compare(a, b Pick) int {
	return cmp.Or(
		cmp.Compare(min(a.TriesLeft, 1), min(b.TriesLeft, 1)),
		version.Compare(a.Version, b.Version),
		cmp.Compare(p.preference(a), p.preference(b)),
		cmp.Compare(a.TriesLeft, b.TriesLeft),
		cmp.Compare(b.TriesDone, a.TriesDone),
		cmp.Compare(a.Entry, b.Entry),
	)
}

// pick picks a version from the versioned folder at a path without links, and
// follows it. systemd does not make do with the next best if the best leads
// nowhere, and so the folder is passed over.
func (f *finder) pick(folder string, m form) (*Pick, target, error) {
	names, err := rooted.ReadNames(f.options.Root, folder, maxEntries)
	if err != nil {
		return nil, target{}, fmt.Errorf("reading the versioned folder: %w", err)
	}
	p := Pattern{Name: m.name, Suffix: m.suffix(f.options.Kind), Systemd: f.options.Systemd, Architecture: f.options.Architecture}
	var best *Pick
	var passed []Shadow
	for _, name := range names {
		pick, err := p.Read(name)
		if err == nil && f.rules.typed() {
			var t target
			if t, err = f.target(path.Join(folder, name)); err != nil {
				return nil, target{}, fmt.Errorf("one of its versions, %q: %w", name, err)
			}
			err = m.wants(t)
		}
		switch {
		case err != nil:
			passed = append(passed, Shadow{path.Join(folder, name), err.Error()})
		case best == nil:
			best = &pick
		case p.Compare(pick, *best) > 0:
			passed = append(passed, better(folder, pick, *best))
			best = &pick
		default:
			passed = append(passed, better(folder, *best, pick))
		}
	}
	if best == nil {
		return nil, target{}, hint.Wrap(noVersion(passed), fmt.Sprintf("put %q into it", p.Name+"_1.0"+p.Suffix))
	}
	best.Passed = passed
	t, err := f.target(path.Join(folder, best.Entry))
	if err == nil {
		err = m.wants(t)
	}
	if err != nil {
		return nil, target{}, fmt.Errorf("the best version, %q: %w", best.Entry, err)
	}
	return best, t, nil
}

// wants checks that a version is what the folder's name promises.
func (m form) wants(t target) error {
	switch {
	case m.format == ".raw" && !t.mode.IsRegular() && !isBlock(t.mode):
		return hint.Wrap(errors.New("it is no image"), fmt.Sprintf("keep folders in a folder called %q", m.name+".v"))
	case m.format != ".raw" && !t.mode.IsDir():
		return hint.Wrap(errors.New("it is no folder"), fmt.Sprintf("keep images in a folder called %q", m.name+".raw.v"))
	default:
		return nil
	}
}

func better(folder string, winner, loser Pick) Shadow {
	return Shadow{path.Join(folder, loser.Entry), fmt.Sprintf("%q is preferred", winner.Entry)}
}

// noVersion says why a versioned folder has none.
func noVersion(passed []Shadow) error {
	if len(passed) == 0 {
		return errors.New("a versioned folder without any version")
	}
	const most = 3
	var texts []string
	for _, s := range passed[:min(len(passed), most)] {
		texts = append(texts, fmt.Sprintf("%q: %s", path.Base(s.Path), s.Reason))
	}
	if len(passed) > most {
		texts = append(texts, fmt.Sprintf("and %d more", len(passed)-most))
	}
	return fmt.Errorf("a versioned folder without a version that fits: %s", strings.Join(texts, "; "))
}
