package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"inlay/internal/hint"
)

// Error is a fault in a configuration file.
type Error struct {
	File         string
	Line, Column int    // counted from 1
	Source       string // the line itself, "" if there is none
	Err          error  // what is wrong; its hint says what to do
}

// Error is one line: FILE:LINE:COLUMN, what is wrong, and the line.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s:%d:%d: %v", e.File, e.Line, e.Column, e.Err)
	if source := strings.TrimSpace(e.Source); source != "" {
		text += fmt.Sprintf(", in the line %q", shorten(source))
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// maxShown is how much of a line or a value an error shows, in bytes.
const maxShown = 120

func shorten(text string) string {
	if len(text) <= maxShown {
		return text
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// nearest returns the one of known that a mistyped word most likely stands for,
// or "".
func nearest(word string, known []string) string {
	const longest = 40 // bytes; nothing that is known comes near it
	word = strings.ToLower(strings.ReplaceAll(word, "-", "_"))
	if len(word) > longest {
		return ""
	}
	best, least := "", 1+max(2, len(word)/3)
	for _, k := range known {
		n := hint.Edits(word, k)[len(k)]
		if len(word) >= 3 && (strings.HasPrefix(k, word) || strings.HasPrefix(word, k)) {
			n = min(n, 1)
		}
		if n < least {
			best, least = k, n
		}
	}
	return best
}
