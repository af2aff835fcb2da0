package config

import (
	"fmt"
	"slices"
	"strings"
)

// scan finds our lines in a cloud-config by keys at the beginning of lines and
// by indentation: whatever stands deeper belongs to the key above it. Where that
// cannot tell, or the line may be text of somebody else's, it says so.
type scan struct {
	ours                ours
	kept                []string
	inside, keep, found bool
	whole               bool // what follows belongs to a key of ours that is not below install
	child               int  // the indentation of the keys below install, -1 = not seen yet
	installs, install   int  // how many, and the line of the last, from 1
	documents, document int  // likewise, of those with content
	content             bool
	odd                 int   // the first line that may hide our keys, from 1; 0 = none
	inOdd               bool  // what follows belongs to such a line
	entry               []int // the lines that may hide our keys, from 0
	everywhere          bool  // or they may be in any other
	unclear             int   // the first line that looks like ours and may be text, from 1; 0 = none
	lost                int   // the line from which nothing can be told, from 1; 0 = none
	culprit             int   // the line that makes it unclear, from 1
	opened              int   // the last line that opened quotes or brackets, from 1
	heading             bool  // the words of install have been seen within them
}

// cause says what to do about an unclear line.
func (s *scan) cause() string {
	return fmt.Sprintf("put it above line %d, whose quotes or brackets may swallow it, or close those in the same line", s.culprit)
}

func (s *scan) line(i int, text string, as standing) {
	body := strings.TrimLeft(text, " ")
	indent := len(text) - len(body)
	trimmed := strings.TrimSpace(body)
	if as == prose || as == enclosed {
		if s.inOdd {
			s.entry = append(s.entry, i)
		}
	}
	switch as {
	case prose:
		if s.keep {
			s.kept[i] = text
		}
		return
	case enclosed:
		s.enclosed(i, indent, text)
		return
	case structure:
		s.opened, s.heading = i+1, false
	case lost:
	}
	if trimmed == "" || trimmed[0] == '#' {
		// Within what is ours it may belong to a block of text.
		if s.keep && indent > s.child {
			s.kept[i] = text
		}
		return
	}
	if indent == 0 {
		s.top(i, body, as)
		return
	}
	if s.inOdd {
		s.entry = append(s.entry, i)
	}
	if s.whole {
		s.kept[i] = text
	}
	if !s.inside {
		return
	}
	if s.child < 0 {
		s.child = indent
	}
	switch {
	case body[0] == '\t' && !s.keep:
		s.doubt(i, false)
	case indent <= s.child && body[0] != '\t': // what the parser says of tabs is clear enough
		s.below(i, indent, body, as)
	}
	if s.keep {
		s.kept[i] = text
	}
}

// below takes a line with a key below install, or one that is even less deep.
func (s *scan) below(i, indent int, body string, as standing) {
	key, _ := splitKey(body)
	list := s.keep && (body == "-" || strings.HasPrefix(body, "- ")) // of the key above
	s.keep = indent == s.child && (list || slices.Contains(s.ours.install, key))
	s.found = s.found || s.keep
	if s.keep && as == lost {
		s.doubtText(i)
	}
	if key == "<<" {
		s.doubt(i, true)
	}
}

// enclosed takes a line that begins within quotes or brackets.
func (s *scan) enclosed(i, indent int, text string) {
	if s.keep && (indent > s.child || strings.TrimSpace(text) == "") {
		s.kept[i] = text
		return
	}
	key, _ := splitKey(text[indent:])
	s.heading = s.heading || key == "install"
	if s.keep || (s.inside || s.heading) && s.ours.mentioned(text) {
		s.doubtText(i)
	}
}

// doubtText notes that a line looks like ours, and may be text.
func (s *scan) doubtText(i int) {
	if s.unclear > 0 {
		return
	}
	s.unclear, s.culprit = i+1, s.opened
	if s.lost > 0 {
		s.culprit = s.lost
	}
}

// top takes a line that is not indented.
func (s *scan) top(i int, body string, as standing) {
	if s.whole && (body == "-" || strings.HasPrefix(body, "- ") || body[0] == '\t') {
		s.kept[i] = body // of the key above; what the parser says of tabs is clear enough
		return
	}
	wasInside := s.inside
	s.inside, s.keep, s.whole, s.inOdd, s.child = false, false, false, false, -1
	if mark := strings.HasPrefix(body, "---"); mark || strings.HasPrefix(body, "...") {
		s.content = false
		if rest := strings.TrimSpace(body[3:]); rest == "" || rest[0] == '#' {
			return
		}
	}
	if !s.content {
		s.content = true
		s.documents, s.document = s.documents+1, i+1
	}
	switch key, rest := splitKey(body); {
	case key == "install":
		s.installs, s.install = s.installs+1, i+1
		s.inside = rest == ""
		if !s.inside {
			s.doubt(i, strings.Contains(rest, "*"))
			return
		}
		s.kept[i] = body
	case slices.Contains(s.ours.top, key):
		s.whole, s.keep, s.found = true, true, true
		s.kept[i] = body
		if as == lost {
			s.doubtText(i)
		}
	case strings.ContainsAny(body[:1], "{?&!"), key == "<<", body[0] == '\t' && wasInside:
		s.doubt(i, key == "<<" || strings.ContainsAny(body[:1], "{?"))
	}
}

// doubt notes that our keys may be in what begins at a line, or everywhere.
func (s *scan) doubt(i int, everywhere bool) {
	if s.odd == 0 {
		s.odd = i + 1
	}
	s.inOdd = true
	s.entry = append(s.entry, i)
	s.everywhere = s.everywhere || everywhere
}

// doubtful returns the lines that may hide our keys.
func (s *scan) doubtful(lines []string) []string {
	if s.everywhere {
		return lines
	}
	var some []string
	for _, i := range s.entry {
		some = append(some, lines[i])
	}
	return some
}

// splitKey returns the key that a line begins with, and what stands behind its
// colon but a comment.
func splitKey(body string) (key, rest string) {
	key, rest, found := strings.Cut(body, ":")
	if !found || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return "", ""
	}
	key, rest = strings.TrimRight(key, " "), strings.TrimSpace(rest)
	if len(key) >= 2 && (key[0] == '"' || key[0] == '\'') && key[len(key)-1] == key[0] {
		key = key[1 : len(key)-1]
	}
	if strings.HasPrefix(rest, "#") {
		rest = ""
	}
	return key, rest
}
