// Package guid holds the GUIDs of UEFI (UEFI 2.10, appendix A), which partition
// tables and firmware variables share.
package guid

import (
	"encoding/hex"
	"fmt"
)

// GUID is a GUID in the byte order of its text. Tables and
// variables keep the first three fields in little-endian order: see Swapped.
type GUID [16]byte

// String returns the 36 characters of g in lower case.
func (g GUID) String() string {
	var text [36]byte
	hex.Encode(text[0:8], g[0:4])
	text[8] = '-'
	hex.Encode(text[9:13], g[4:6])
	text[13] = '-'
	hex.Encode(text[14:18], g[6:8])
	text[18] = '-'
	hex.Encode(text[19:23], g[8:10])
	text[23] = '-'
	hex.Encode(text[24:36], g[10:16])
	return string(text[:])
}

// Parse reads the form with four dashes, in either case.
func Parse(s string) (GUID, error) {
	var g GUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return GUID{}, fmt.Errorf("parsing GUID %q: want 8-4-4-4-12 hexadecimal digits", s)
	}
	if _, err := hex.Decode(g[:], []byte(s[0:8]+s[9:13]+s[14:18]+s[19:23]+s[24:36])); err != nil {
		return GUID{}, fmt.Errorf("parsing GUID %q: %w", s, err)
	}
	return g, nil
}

// Swapped turns the order of the text into that on disk, and back.
func (g GUID) Swapped() GUID {
	g[0], g[1], g[2], g[3] = g[3], g[2], g[1], g[0]
	g[4], g[5] = g[5], g[4]
	g[6], g[7] = g[7], g[6]
	return g
}
