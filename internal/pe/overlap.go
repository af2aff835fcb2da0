package pe

import (
	"cmp"
	"fmt"
	"slices"
)

// byOffset returns the sections that have bytes in the file, in its order.
func (f *File) byOffset() []Section {
	sorted := slices.DeleteFunc(slices.Clone(f.Sections), func(s Section) bool { return s.RawSize == 0 })
	slices.SortFunc(sorted, func(a, b Section) int { return cmp.Compare(a.RawOffset, b.RawOffset) })
	return sorted
}

// checkFile checks that sections lie behind the headers, apart from each other
// and inside the file.
func (f *File) checkFile() error {
	end, before := int64(len(f.header)), "the headers"
	for _, s := range f.byOffset() {
		start := int64(s.RawOffset)
		switch {
		case start < end:
			return fmt.Errorf("section %q begins at byte %d, but %s end at %d", s.Name, start, before, end)
		case start > end && f.layout.gap == 0:
			f.layout.gap = end
		}
		end, before = start+int64(s.RawSize), fmt.Sprintf("the bytes of section %q", s.Name)
		if end > f.Size {
			return fmt.Errorf("section %q ends at byte %d, but the file has %d: it is cut short", s.Name, end, f.Size)
		}
	}
	f.layout.endData = end
	return nil
}

// checkMemory checks that sections don't overlap once they are loaded, neither
// each other nor the headers.
func (f *File) checkMemory() error {
	sorted := slices.DeleteFunc(slices.Clone(f.Sections), func(s Section) bool { return s.loaded() == 0 })
	slices.SortStableFunc(sorted, func(a, b Section) int { return cmp.Compare(a.VirtualAddress, b.VirtualAddress) })
	end, before := int64(len(f.header)), "the headers"
	for _, s := range sorted {
		start := int64(s.VirtualAddress)
		if start < end {
			return fmt.Errorf("section %q is loaded at %#x, but %s end at %#x", s.Name, start, before, end)
		}
		end, before = start+s.loaded(), fmt.Sprintf("the contents of section %q", s.Name)
		if end > int64(f.SizeOfImage) {
			return fmt.Errorf("section %q ends at %#x in memory, behind the program's end at %#x", s.Name, end, f.SizeOfImage)
		}
	}
	return nil
}

// loaded is how many bytes the section takes in memory. EDK II loads all of a
// section that says 0.
func (s Section) loaded() int64 {
	if s.VirtualSize == 0 {
		return int64(s.RawSize)
	}
	return int64(s.VirtualSize)
}
