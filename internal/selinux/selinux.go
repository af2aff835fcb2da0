// Package selinux reads file_contexts, the list of regular expressions that
// says which SELinux label a path gets (selabel_file(5)), so that an image can
// be labelled for its host and not with what the builder's machine had.
//
// Left out on purpose: the compiled .bin form, and substitutions
// (file_contexts.subs), which belong to a host.
package selinux

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"

	"inlay/internal/hint"
)

// Attribute is the extended attribute that holds a label.
const Attribute = "security.selinux"

// Bounds on the list: a whole distribution's policy has about 6,000 entries.
const (
	maxLine    = 16 << 10
	maxEntries = 100_000
)

// POSIX file types, as in st_mode.
const (
	typeMask    = 0o170000
	typeFile    = 0o100000
	typeFolder  = 0o040000
	typeSymlink = 0o120000
	typeChar    = 0o020000
	typeBlock   = 0o060000
	typeFifo    = 0o010000
	typeSocket  = 0o140000
)

// Contexts is a parsed list.
type Contexts struct {
	entries []entry // in the order of the file; literal ones are asked first
}

type entry struct {
	stem    string // literal text that every match starts with
	literal bool   // the whole expression is literal
	pattern *regexp.Regexp
	mode    uint32 // the one file type it is for, or 0
	label   string // "" for <<none>>
}

// Parse reads a list. An expression that cannot be read is an error that
// names its line.
func Parse(r io.Reader) (*Contexts, error) {
	c := new(Contexts)
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), maxLine)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := parseEntry(line)
		if err != nil {
			return nil, fmt.Errorf("reading line %d of the file contexts: %w", number, err)
		}
		if len(c.entries) == maxEntries {
			return nil, fmt.Errorf("the file contexts have more than %d entries", maxEntries)
		}
		c.entries = append(c.entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the file contexts: %w", err)
	}
	return c, nil
}

// Label returns the label of the absolute path whose st_mode is mode. It
// reports false where the list gives none. As in libselinux, an entry without
// special characters goes before all others, and of the rest the last one
// that matches wins.
func (c *Contexts) Label(path string, mode uint32) (string, bool) {
	found := -1
	for i := len(c.entries) - 1; i >= 0; i-- {
		e := &c.entries[i]
		if e.literal && e.matches(path, mode) {
			found = i
			break
		}
		if found < 0 && !e.literal && e.matches(path, mode) {
			found = i
		}
	}
	if found < 0 || c.entries[found].label == "" {
		return "", false
	}
	return c.entries[found].label, true
}

func (e *entry) matches(path string, mode uint32) bool {
	if e.mode != 0 && e.mode != mode&typeMask {
		return false
	}
	if e.literal {
		return path == e.stem
	}
	return strings.HasPrefix(path, e.stem) && e.pattern.MatchString(path)
}

func parseEntry(line string) (entry, error) {
	fields := strings.Fields(line)
	var e entry
	switch len(fields) {
	case 2:
		e.label = fields[1]
	case 3:
		mode, ok := typeOf(fields[1])
		if !ok {
			return entry{}, hint.Wrap(fmt.Errorf("unknown file type %q", fields[1]), "file types are -- -d -l -c -b -p -s")
		}
		e.mode, e.label = mode, fields[2]
	default:
		return entry{}, hint.Wrap(fmt.Errorf("%d fields", len(fields)), "a line is: expression, file type if any, label")
	}
	if e.label == "<<none>>" {
		e.label = ""
	} else if strings.Count(e.label, ":") < 2 {
		return entry{}, fmt.Errorf("%q is no label", e.label)
	}
	pattern, err := regexp.Compile("^(?:" + fields[0] + ")$")
	if err != nil {
		return entry{}, fmt.Errorf("reading expression %q: %w", fields[0], err)
	}
	e.stem, e.literal = literalStem(fields[0])
	e.pattern = pattern
	return e, nil
}

// literalStem returns the text that expression starts with whatever follows,
// and whether that is all of it. It is what makes 6,000 entries affordable.
func literalStem(expression string) (stem string, whole bool) {
	var b strings.Builder
	for i := 0; i < len(expression); i++ {
		ch := expression[i]
		switch {
		case ch == '\\' && i+1 < len(expression) && strings.IndexByte(`.[{^$|?*+()\-`, expression[i+1]) >= 0:
			i++
			ch = expression[i]
		case strings.IndexByte(`.[{^$|?*+()\`, ch) >= 0:
			return dropOptional(b.String(), expression[i:]), false
		}
		b.WriteByte(ch)
	}
	return b.String(), true
}

// dropOptional takes back from stem what the rest of the expression makes
// optional: its last character by a repetition, all of it by an alternative
// outside any group.
func dropOptional(stem, rest string) string {
	depth := 0
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			depth--
		case '|':
			if depth == 0 {
				return ""
			}
		}
	}
	if strings.IndexByte("?*{", rest[0]) >= 0 && stem != "" {
		return stem[:len(stem)-1]
	}
	return stem
}

func typeOf(word string) (uint32, bool) {
	switch word {
	case "--":
		return typeFile, true
	case "-d":
		return typeFolder, true
	case "-l":
		return typeSymlink, true
	case "-c":
		return typeChar, true
	case "-b":
		return typeBlock, true
	case "-p":
		return typeFifo, true
	case "-s":
		return typeSocket, true
	}
	return 0, false
}
