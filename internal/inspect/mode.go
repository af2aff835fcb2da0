package inspect

import "io/fs"

// modeText is a mode as ls(1) prints it, which is not how Go does: the type's
// own letter, and setuid, setgid and sticky in the place of an x.
func modeText(m fs.FileMode) string {
	text := []byte("-rwxrwxrwx")
	switch {
	case m&fs.ModeDir != 0:
		text[0] = 'd'
	case m&fs.ModeSymlink != 0:
		text[0] = 'l'
	case m&fs.ModeCharDevice != 0:
		text[0] = 'c'
	case m&fs.ModeDevice != 0:
		text[0] = 'b'
	case m&fs.ModeNamedPipe != 0:
		text[0] = 'p'
	case m&fs.ModeSocket != 0:
		text[0] = 's'
	case !m.IsRegular():
		text[0] = '?'
	}
	for bit := range 9 {
		if m&(1<<(8-bit)) == 0 {
			text[1+bit] = '-'
		}
	}
	for _, special := range []struct {
		bit    fs.FileMode
		at     int
		letter byte
	}{{fs.ModeSetuid, 3, 's'}, {fs.ModeSetgid, 6, 's'}, {fs.ModeSticky, 9, 't'}} {
		if m&special.bit == 0 {
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
