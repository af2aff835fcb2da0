package config

import "strings"

// flow follows a value that begins with a quote or a bracket to its end (YAML
// 1.2.2, chapter 7), over lines.
type flow struct {
	quote    byte   // the one that is open, or 0
	brackets []byte // those that are open
	last     last
}

// last is what came last within brackets. Quotes begin a text only where a value
// may begin.
type last int

const (
	sign   last = iota // an indicator: a value may begin
	word               // a value without quotes, which goes on
	closed             // a text in quotes, or brackets
)

// maxBrackets bounds how deep brackets are followed.
const maxBrackets = 1000

func (f *flow) open() bool { return f.quote != 0 || len(f.brackets) > 0 }

// take takes a line, and returns what follows the end of the value, if that is
// in it. It is not ok if the line cannot be told apart.
func (f *flow) take(line string) (rest string, ok bool) {
	for i := 0; i < len(line); i++ {
		if f.quote != 0 {
			i = f.text(line, i)
		} else if f.sign(line, i) {
			return "", true // a comment
		} else {
			var skip int
			if skip, ok = f.step(line, i); !ok {
				return "", false
			}
			i += skip
		}
		if !f.open() {
			return line[i+1:], true
		}
	}
	return "", true
}

// text takes a byte within quotes, and returns the place of the last one that
// belongs to it.
func (f *flow) text(line string, i int) int {
	switch {
	case line[i] == '\\' && f.quote == '"':
		return i + 1
	case line[i] != f.quote:
	case f.quote == '\'' && strings.HasPrefix(line[i+1:], "'"):
		return i + 1
	default:
		f.quote, f.last = 0, closed
	}
	return i
}

// sign says whether a comment begins.
func (f *flow) sign(line string, i int) bool {
	return line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t')
}

// step takes a byte outside of quotes, and returns how many more belong to it.
func (f *flow) step(line string, i int) (skip int, ok bool) {
	switch c := line[i]; c {
	case ' ', '\t':
	case '[', '{':
		if f.last != sign || len(f.brackets) == maxBrackets {
			return 0, false
		}
		f.brackets = append(f.brackets, c+2) // ASCII has ] and } there
	case ']', '}':
		if len(f.brackets) == 0 || f.brackets[len(f.brackets)-1] != c {
			return 0, false
		}
		f.brackets, f.last = f.brackets[:len(f.brackets)-1], closed
	case ',':
		f.last = sign
	case '"', '\'':
		if f.last == closed {
			return 0, false
		}
		if f.last == sign {
			f.quote = c
		}
	case ':':
		if f.last == closed || i+1 == len(line) || strings.Contains(" \t,[]{}", line[i+1:i+2]) {
			f.last = sign
		} else {
			f.last = word
		}
	case '&', '!':
		if f.last == word {
			break
		}
		// An anchor or a tag: the value comes after it.
		skip = strings.IndexAny(line[i:]+" ", " \t,[]{}") - 1
	case '?', '-', '|', '>', '%', '@', '`', '#':
		if f.last != word {
			return 0, false
		}
	default:
		if f.last == closed {
			return 0, false
		}
		f.last = word
	}
	return skip, true
}
