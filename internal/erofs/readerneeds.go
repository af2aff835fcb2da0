package erofs

// Algorithms returns what the superblock says that content is compressed with:
// none, one or several.
func (f *FileSystem) Algorithms() []Algorithm {
	if f.super.needs&(needsPadding|needsConfigurations) == 0 {
		return nil
	}
	var list []Algorithm
	for a := range Algorithm(algorithms) {
		if f.super.methods&(1<<a) != 0 {
			list = append(list, a)
		}
	}
	return list
}

// need is a part of the format that came with some kernel.
type need struct {
	since Version
	name  string
}

// Needs returns which Linux mounts the image, by what its superblock says.
func (f *FileSystem) Needs() Needs {
	var list []need
	for _, bit := range []struct {
		mask uint32
		need
	}{
		{needsConfigurations, need{Version{5, 13}, "large clusters"}},
		{needsChunks, need{Version{5, 15}, "sparse files"}},
		{needsDevices, need{Version{5, 16}, "several algorithms"}},
		{needsTails, need{Version{5, 17}, "inline tails"}},
		{needsFragments, need{Version{6, 1}, "fragments"}},
		{needsPrefixes, need{Version{6, 4}, "long prefixes of attributes"}},
	} {
		if f.super.needs&bit.mask != 0 {
			list = append(list, bit.need)
		}
	}
	for _, a := range f.Algorithms() {
		list = append(list, [algorithms]need{
			LZ4:     {Version{5, 4}, "LZ4"},
			LZMA:    {Version{5, 16}, "LZMA"},
			DEFLATE: {Version{6, 6}, "DEFLATE"},
			ZSTD:    {Version{6, 10}, "zstd"},
		}[a])
	}
	if f.super.blockSize < BlockSize {
		// Smaller than a page: at first without compression.
		since := Version{6, 4}
		if len(f.Algorithms()) > 0 {
			since = Version{6, 8}
		}
		list = append(list, need{since, "small blocks"})
	}
	n := Needs{Kernel: Version{5, 4}}
	for _, x := range list {
		switch x.since.Compare(n.Kernel) {
		case 1:
			n = Needs{x.since, []string{x.name}}
		case 0:
			n.Because = append(n.Because, x.name)
		}
	}
	return n
}
