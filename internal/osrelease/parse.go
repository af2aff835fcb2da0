package osrelease

import "strings"

// parser walks the text of a release file once.
type parser struct {
	text string
	pos  int
}

// assignments yields each KEY and its value, in order.
func (p *parser) assignments(yield func(key, value string) bool) {
	for p.pos < len(p.text) {
		key, ok := p.key()
		if !ok {
			continue
		}
		value := p.value()
		if ValidKey(key) && !yield(key, value) {
			return
		}
	}
}

// key reads up to the equals sign. It reports false for a line without one,
// for blank lines and for comments, all of which it passes over.
func (p *parser) key() (string, bool) {
	line := p.text[p.pos:]
	end := strings.IndexByte(line, '\n')
	if end < 0 {
		end = len(line)
	}
	trimmed := strings.TrimLeft(line[:end], " \t\r")
	if trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
		p.pos += min(end+1, len(line))
		return "", false
	}
	name, _, found := strings.Cut(trimmed, "=")
	if !found {
		p.pos += min(end+1, len(line))
		return "", false
	}
	p.pos += strings.IndexByte(line, '=') + 1
	return strings.TrimRight(name, " \t\r"), true
}

// value reads from behind the equals sign to the end of the line, which a
// quote or a backslash can move. Quoted parts join, whatever blanks part them;
// the first bare or escaped character begins the rest, in which quotes and
// blanks stand for themselves.
func (p *parser) value() string {
	var b strings.Builder
	kept := 0 // what trailing blanks must not be cut from
	bare := false
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		p.pos++
		switch {
		case c == '\n':
			return trimTail(b.String(), kept)
		case c == '\'' && !bare:
			p.single(&b)
			kept = b.Len()
		case c == '"' && !bare:
			p.double(&b)
			kept = b.Len()
		case c == '\\':
			bare = true
			p.escaped(&b)
			kept = b.Len()
		case isBlank(c) && !bare:
		default:
			bare = true
			b.WriteByte(c)
		}
	}
	return trimTail(b.String(), kept)
}

func (p *parser) single(b *strings.Builder) {
	rest := p.text[p.pos:]
	end := strings.IndexByte(rest, '\'')
	if end < 0 {
		end = len(rest)
	}
	b.WriteString(rest[:end])
	p.pos += min(end+1, len(rest))
}

func (p *parser) double(b *strings.Builder) {
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		p.pos++
		switch {
		case c == '"':
			return
		case c == '\\' && p.pos < len(p.text):
			next := p.text[p.pos]
			p.pos++
			switch {
			case next == '\n':
			case strings.IndexByte("\"\\`$", next) >= 0:
				b.WriteByte(next)
			default:
				b.WriteByte('\\')
				b.WriteByte(next)
			}
		default:
			b.WriteByte(c)
		}
	}
}

// escaped takes the character behind a backslash outside quotes; a newline
// there continues the line.
func (p *parser) escaped(b *strings.Builder) {
	if p.pos == len(p.text) {
		return
	}
	c := p.text[p.pos]
	p.pos++
	if c != '\n' {
		b.WriteByte(c)
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

func trimTail(value string, kept int) string {
	return value[:kept] + strings.TrimRight(value[kept:], " \t\r")
}
