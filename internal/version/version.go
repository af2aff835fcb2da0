// Package version orders version texts as systemd does: the order in which
// extensions are stacked, files of a versioned folder picked and partitions of
// one type preferred. It is UAPI.10, the version format specification, as
// systemd implements it (strverscmp_improved, there since 248).
//
// The two differ, and systemd decides what merges, so this package follows it:
//
//   - UAPI.10 takes a number that is missing for 0. systemd holds it for older
//     than any number: "a" < "0", "1.a" < "1.0", "123." < "123.0".
//   - UAPI.10 passes over characters that mean nothing wherever they stand.
//     systemd does so before a separator, not behind one: "~_1" < "~1".
//
// In one corner systemd differs from itself. Behind a tilde, it compares a byte
// above ASCII with the end of the other text as C's char, which is signed on
// some machines: there "~é" < "~", although "~_" > "~" and "~é" = "~_". Here
// the longer text is newer on every machine.
//
// Left out on purpose: what a version means (ranges, "compatible with"), and
// any ordering of other kinds, such as semver's or Debian's.
package version

import (
	"cmp"
	"strings"
)

// separators part a version into segments, in the order in which they are
// looked for. Where only one text has one, that text is the older.
const separators = "-^."

// Compare returns -1 if a is older than b, 1 if it is newer, and 0 if the two
// are the same version, which different texts can be: "01" and "1", "1_" and
// "1". No text is invalid; the empty one is older than all others but those
// that begin with a tilde.
func Compare(a, b string) int {
	for {
		a, b = skipIgnored(a), skipIgnored(b)

		// A tilde marks what came before the release, so that even the end of
		// the other text is newer.
		var order int
		if a, b, order = separator('~', a, b); order != 0 {
			return order
		}
		if a == "" || b == "" {
			return cmp.Compare(len(a), len(b))
		}
		for i := range len(separators) {
			if a, b, order = separator(separators[i], a, b); order != 0 {
				return order
			}
		}

		var ownA, ownB string
		if starts(a, isDigit) || starts(b, isDigit) {
			ownA, a = segment(a, isDigit)
			ownB, b = segment(b, isDigit)
			order = compareNumbers(ownA, ownB)
		} else {
			ownA, a = segment(a, isLetter)
			ownB, b = segment(b, isLetter)
			order = strings.Compare(ownA, ownB)
		}
		if order != 0 {
			return order
		}
	}
}

// Clean says whether each byte of s means something to Compare: letters and
// digits of ASCII and the separators "~-^.". Others part segments, no more.
func Clean(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c > 0x7f || isIgnored(byte(c)) }) < 0
}

// separator takes the byte c off both texts if both begin with it. If only one
// does, it is the older.
func separator(c byte, a, b string) (restA, restB string, order int) {
	restA, foundA := strings.CutPrefix(a, string(c))
	restB, foundB := strings.CutPrefix(b, string(c))
	switch {
	case foundA == foundB:
		return restA, restB, 0
	case foundA:
		return a, b, -1
	default:
		return a, b, 1
	}
}

// compareNumbers compares runs of digits of any length, of which an empty one
// is older than all others.
func compareNumbers(a, b string) int {
	if a == "" || b == "" {
		return cmp.Compare(len(a), len(b))
	}
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// segment cuts the longest run off the start of s whose bytes belong.
func segment(s string, belongs func(byte) bool) (run, rest string) {
	n := 0
	for n < len(s) && belongs(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

func starts(s string, with func(byte) bool) bool { return s != "" && with(s[0]) }

func skipIgnored(s string) string {
	_, rest := segment(s, isIgnored)
	return rest
}

func isIgnored(c byte) bool {
	return !isDigit(c) && !isLetter(c) && c != '~' && strings.IndexByte(separators, c) < 0
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isLetter knows ASCII's letters alone, whatever the locale.
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
