package efi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf16"

	"inlay/internal/guid"
)

// maxText bounds a string in a variable, in UTF-16 code units. The longest that
// boot loaders write are paths of files and names of entries.
const maxText = 4096

// Loader returns the vendor of what boot loaders tell the system that they
// start: LoaderEntrySelected, LoaderDevicePartUUID, StubInfo and others of
// systemd's Boot Loader Interface, which other loaders speak too.
func Loader() guid.GUID { return known("4a67b082-0a4c-41cf-b6c7-440b29bb8c4f") }

// Text returns the value of a variable that is a string as the Boot Loader
// Interface has it: UTF-16, little-endian, with one NUL at its end. Refused is
// all that cannot have been meant: no NUL or more than one, halves of surrogate
// pairs, control characters, more than 4096 code units.
func (v Variable) Text() (string, error) {
	b := v.Data
	switch {
	case len(b)%2 != 0:
		return "", fmt.Errorf("reading a string: %d bytes are no whole number of UTF-16 code units", len(b))
	case len(b) == 0:
		return "", errors.New("reading a string: no bytes, not even the NUL at its end")
	case len(b)/2 > maxText+1:
		return "", fmt.Errorf("reading a string: more than %d code units", maxText)
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	last := len(units) - 1
	if units[last] != 0 {
		return "", errors.New("reading a string: no NUL at its end")
	}
	units = units[:last]
	text := make([]rune, 0, len(units))
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			low := rune(0)
			if i+1 < len(units) {
				low = rune(units[i+1])
			}
			if r = utf16.DecodeRune(r, low); r == unicode.ReplacementChar {
				return "", fmt.Errorf("reading a string: half of a surrogate pair at code unit %d", i)
			}
			i++
		} else if unicode.IsControl(r) {
			return "", fmt.Errorf("reading a string: the control character %#04x at code unit %d", r, i)
		}
		text = append(text, r)
	}
	return string(text), nil
}
