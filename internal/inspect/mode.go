package inspect

import "inlay/internal/content"

// modeText is a POSIX mode as ls(1) prints it.
func modeText(mode uint32) string {
	text := []byte("?rwxrwxrwx")
	for _, known := range []struct {
		kind   uint32
		letter byte
	}{
		{content.TypeRegular, '-'},
		{content.TypeFolder, 'd'},
		{content.TypeLink, 'l'},
		{content.TypeChar, 'c'},
		{content.TypeBlock, 'b'},
		{content.TypeFIFO, 'p'},
		{content.TypeSocket, 's'},
	} {
		if mode&content.TypeMask == known.kind {
			text[0] = known.letter
		}
	}
	for bit := range 9 {
		if mode&(1<<(8-bit)) == 0 {
			text[1+bit] = '-'
		}
	}
	for _, special := range []struct {
		bit    uint32
		at     int
		letter byte
	}{{0o4000, 3, 's'}, {0o2000, 6, 's'}, {0o1000, 9, 't'}} {
		if mode&special.bit == 0 {
			continue
		}
		if text[special.at] == '-' {
			// Upper case says that nobody may execute it.
			special.letter -= 'a' - 'A'
		}
		text[special.at] = special.letter
	}
	return string(text)
}
