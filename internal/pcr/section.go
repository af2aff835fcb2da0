package pcr

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

// Section is a part of a unified kernel image, hashed. A PE file may have others
// (.text, .reloc): nothing is made of them here.
type Section struct {
	Name string
	// Size counts the bytes as loaded (VirtualSize). Nothing is measured of a
	// section without any, not even its name.
	Size int64
	// Digests are of those bytes, by bank.
	Digests map[Bank][]byte
}

// order is that of the stub (unified_sections). Image readers can rely on it:
// systemd adds new names at its end.
func order() []string {
	return []string{
		".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat",
		".pcrsig", ".pcrpkey", ".profile", ".dtbauto", ".hwids",
	}
}

// The sections with a meaning of their own.
const (
	signatures = ".pcrsig"  // is not measured: it signs what comes out
	profile    = ".profile" // begins the sections of a profile
	dtbauto    = ".dtbauto" // there may be many; the board decides
)

// Measured says whether the stub measures sections of that name.
func Measured(name string) bool { return name != signatures && slices.Contains(order(), name) }

// chunkSize is how much of a section is hashed at a time, by all banks at once.
const chunkSize = 256 << 10

// Hash reads a section to its end, once for all banks (none: all known).
func Hash(name string, data io.Reader, banks ...Bank) (Section, error) {
	banks, err := complete(banks)
	if err != nil {
		return Section{}, err
	}
	s := Section{Name: name, Digests: make(map[Bank][]byte, len(banks))}
	hashes := newHashes(banks)
	s.Size, err = io.CopyBuffer(hashes, onlyReader{data}, make([]byte, chunkSize))
	if err != nil {
		return Section{}, fmt.Errorf("hashing section %q: %w", name, err)
	}
	for i, b := range banks {
		s.Digests[b] = hashes[i].Sum(nil)
	}
	return s, nil
}

// onlyReader hides a WriteTo, whose writes might be small.
type onlyReader struct{ io.Reader }

// hashes are written to all at the same time.
type hashes []interface {
	io.Writer
	Sum(b []byte) []byte
}

func newHashes(banks []Bank) hashes {
	all := make(hashes, len(banks))
	for i, b := range banks {
		all[i] = b.newHash()
	}
	return all
}

// Write never fails.
func (all hashes) Write(p []byte) (int, error) {
	// Starting others costs more than so few bytes do.
	const few = 64 << 10
	if len(p) <= few {
		for _, h := range all {
			_, _ = h.Write(p)
		}
		return len(p), nil
	}
	var wait sync.WaitGroup
	for _, h := range all {
		wait.Go(func() { _, _ = h.Write(p) })
	}
	wait.Wait()
	return len(p), nil
}

// Profiles returns the sections that the stub uses in each profile of an image,
// given those of its file in the order of their headers, and how they are called.
// An image without .profile has one profile.
//
// What comes before the first .profile belongs to all; a profile's own sections
// come in place of those. Of two with the same name on the same side, the first
// counts.
func Profiles[S any](sections []S, name func(S) string) [][]S {
	var parts [][]S // the base, then each profile
	start := 0
	for i, s := range sections {
		if name(s) == profile {
			parts = append(parts, sections[start:i])
			start = i
		}
	}
	parts = append(parts, sections[start:])
	base := parts[0]
	if len(parts) == 1 {
		return [][]S{first(name, base)}
	}
	profiles := make([][]S, 0, len(parts)-1)
	for _, own := range parts[1:] {
		profiles = append(profiles, first(name, own, base))
	}
	return profiles
}

// first returns sections without those whose name was there before.
func first[S any](name func(S) string, sections ...[]S) []S {
	seen := map[string]bool{}
	var all []S
	for _, s := range slices.Concat(sections...) {
		if !seen[name(s)] {
			seen[name(s)] = true
			all = append(all, s)
		}
	}
	return all
}

// Measure returns what a bank's PCR 11 holds when the kernel starts, before any
// phase. Sections are those of one profile, in any order; those that are not
// measured may be among them.
func (b Bank) Measure(sections []Section) ([]byte, error) {
	if !b.known() {
		return nil, fmt.Errorf("bank %q is not known: there are %q", b, Banks())
	}
	value := make([]byte, b.Size())
	for _, name := range order() {
		at := slices.IndexFunc(sections, func(s Section) bool { return s.Name == name })
		if at < 0 || !Measured(name) || sections[at].Size == 0 {
			continue
		}
		if name == dtbauto {
			return nil, fmt.Errorf("measuring section %q: which one counts depends on the board", name)
		}
		digest := sections[at].Digests[b]
		if len(digest) != b.Size() {
			return nil, fmt.Errorf("measuring section %q: it was not hashed with %s", name, b)
		}
		value = b.Extend(value, b.sum([]byte(name), []byte{0}))
		value = b.Extend(value, digest)
	}
	return value, nil
}
