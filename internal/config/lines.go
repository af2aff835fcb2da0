package config

import "strings"

// standing is what a line of a YAML file is, as far as its beginning tells.
type standing int

const (
	structure standing = iota // it begins with a key, a dash, a value or a comment
	prose                     // it belongs to a block of text, or to a value without quotes
	enclosed                  // it begins within quotes or brackets
	lost                      // nobody can tell: something before it was odd, or it should not be here
)

// lines tells, line by line, where a YAML file has keys and where it has text
// that looks like keys. It follows YAML 1.2.2, chapters 7 and 8, as long as that
// is simple; from the first construct that is not, all is lost.
type lines struct {
	lost   bool
	state  state
	parent int // the indentation of what the last value belongs to
	indent int // of a block of text; 0 = not known yet
	flow   flow
}

// state is what came last.
type state int

const (
	fresh    state = iota // nothing: a document begins
	empty                 // a key, whose value may follow
	marked                // a dash, an anchor or a tag, whose value must follow, so that nobody takes what comes later for it
	plain                 // a value without quotes, which may go on
	complete              // a value that has ended
	block                 // a block of text
	trailed               // a block of text, and a comment that ends it
)

// next takes the next line.
func (l *lines) next(line string) standing {
	// For some readers lines end there.
	if strings.ContainsAny(line, "\r\x00\u0085\u2028\u2029") {
		l.lost = true
	}
	body := strings.TrimLeft(line, " ")
	indent := len(line) - len(body)
	mark := indent == 0 && (strings.HasPrefix(body, "---") || strings.HasPrefix(body, "...")) && (len(body) == 3 || body[3] == ' ' || body[3] == '\t')
	switch {
	case l.lost:
		return lost
	case l.flow.open():
		if mark {
			l.lost = true
		} else {
			l.finish(l.flow.take(line))
		}
		return enclosed
	case strings.Trim(body, " \t") == "":
		return structure
	case l.inText(indent, body):
		return prose
	case l.lost:
		return lost
	case body[0] == '#':
		switch l.state {
		case plain:
			l.state = complete
		case block:
			l.state = trailed
		}
		return structure
	case mark:
		l.state = fresh
		l.lost = !ends(body[3:])
		return structure
	}
	return l.entry(indent, body)
}

// inText says whether a line belongs to the text before it.
func (l *lines) inText(indent int, body string) bool {
	deeper := indent > l.parent
	switch l.state {
	case block:
		if !deeper {
			return false
		}
		if l.indent == 0 {
			l.indent = indent
		}
		l.lost = indent < l.indent
		return !l.lost
	case plain:
		if !deeper || body[0] == '#' {
			return false
		}
		text, comment := uncomment(body)
		l.lost = colon(text) >= 0 || body[0] == '\t'
		if comment {
			l.state = complete
		}
		return !l.lost
	case complete, trailed:
		l.lost = deeper && body[0] != '#'
	}
	return false
}

// entry takes a line that begins something. If it may not begin here, or what it
// begins cannot be told, it is lost; if it is the value that is odd, what follows.
func (l *lines) entry(column int, body string) standing {
	if l.state == marked && column <= l.parent {
		l.lost = true
		return lost
	}
	parent, dashed := l.parent, false
	if l.state == fresh {
		parent = -1
	}
	for body == "-" || strings.HasPrefix(body, "- ") {
		rest := strings.TrimLeft(body[1:], " ")
		parent, dashed = column, true
		column += len(body) - len(rest)
		body = rest
	}
	bare := strings.TrimRight(properties(body), " \t")
	if ends(" " + bare) {
		l.state, l.parent, l.lost = marked, parent, !dashed
		return structure
	}
	body = bare
	if i := key(body); i >= 0 {
		l.value(column, body[i+1:])
		return structure
	}
	// A value by itself: of a dash, or of the key above.
	if !dashed && (l.state != empty && l.state != marked || column <= l.parent) {
		l.lost = true
		return lost
	}
	l.value(parent, " "+body)
	return structure
}

// value takes what stands behind a colon or a dash, which belongs to something
// of that indentation.
func (l *lines) value(parent int, text string) {
	l.state, l.parent = empty, parent
	if ends(text) {
		return
	}
	text = properties(strings.TrimLeft(text, " \t"))
	if ends(text) {
		l.state = marked
		return
	}
	switch text[0] {
	case '|', '>':
		l.header(text)
	case '"', '\'', '[', '{':
		l.state = complete
		l.flow = flow{}
		l.finish(l.flow.take(text))
	case '*':
		l.state = complete
		l.lost = strings.ContainsAny(strings.TrimRight(text, " "), " \t:")
	case '%', '@', '`', '#', ',', ']', '}', '&', '!':
		l.lost = true
	default:
		word, comment := uncomment(text)
		l.state = plain
		if comment {
			l.state = complete
		}
		l.lost = colon(word) >= 0 || strings.Contains("-?:", word[:1]) && (len(word) == 1 || word[1] == ' ' || word[1] == '\t')
	}
}

// header takes the line that begins a block of text.
func (l *lines) header(text string) {
	l.state, l.indent = block, 0
	signs, _, _ := strings.Cut(text[1:], " ")
	digits := strings.Trim(signs, "+-")
	switch {
	case len(signs)-len(digits) > 1 || len(digits) > 1 || !ends(text[1+len(signs):]):
		l.lost = true
	case digits != "":
		l.indent = max(l.parent, 0) + int(digits[0]-'0')
		l.lost = digits[0] < '1' || digits[0] > '9'
	}
}

// finish takes what stands behind quotes or brackets, in the line that they end
// in.
func (l *lines) finish(rest string, ok bool) {
	l.lost = !ok || !l.flow.open() && !ends(rest)
}
