// Package osrelease reads and writes the KEY=VALUE files that describe a
// system or an extension: os-release(5) and extension-release.
//
// Values are read as systemd reads them, which is more than a shell subset:
// both kinds of quotes, backslash escapes, several quoted parts in a row,
// continued lines, and comments that begin with '#' or ';'. Variable
// substitution is left out on purpose: os-release(5) has none.
package osrelease

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxSize is the largest file that Parse takes, in bytes. Real ones stay
// below 1 KiB; the bound keeps a hostile image from filling memory.
const MaxSize = 64 << 10

// Field is one assignment.
type Field struct {
	Key   string
	Value string
}

// Release holds the assignments of one file in their order. The zero value
// is an empty file.
type Release struct {
	fields []Field
}

// Parse reads text. Lines that assign nothing are passed over, as systemd
// does; a later assignment of a key replaces an earlier one.
func Parse(text []byte) (*Release, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("a release file of %d bytes is over the limit of %d", len(text), MaxSize)
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, errors.New("a release file holds a NUL byte")
	}
	if !utf8.Valid(text) {
		return nil, errors.New("a release file is not valid UTF-8")
	}
	r := new(Release)
	p := parser{text: string(text)}
	for key, value := range p.assignments {
		r.Set(key, value)
	}
	return r, nil
}

// Get returns the value of key, or "".
func (r *Release) Get(key string) string {
	value, _ := r.Lookup(key)
	return value
}

// Lookup returns the value of key and whether it is assigned at all: an
// empty SYSEXT_SCOPE means another thing than none.
func (r *Release) Lookup(key string) (string, bool) {
	for _, f := range r.fields {
		if f.Key == key {
			return f.Value, true
		}
	}
	return "", false
}

// Set assigns value to key, in its old place if it has one.
func (r *Release) Set(key, value string) {
	for i := range r.fields {
		if r.fields[i].Key == key {
			r.fields[i].Value = value
			return
		}
	}
	r.fields = append(r.fields, Field{key, value})
}

// Fields returns the assignments in their order.
func (r *Release) Fields() []Field { return append([]Field(nil), r.fields...) }

// Lines returns the assignments as KEY=VALUE, the values without quotes: for
// reading, not for a file.
func (r *Release) Lines() []string {
	var lines []string
	for _, f := range r.fields {
		lines = append(lines, f.Key+"="+f.Value)
	}
	return lines
}

// Format returns the text of a file that Parse reads back as r, values
// quoted only where they need it.
func (r *Release) Format() []byte {
	var b bytes.Buffer
	for _, f := range r.fields {
		fmt.Fprintf(&b, "%s=%s\n", f.Key, quote(f.Value))
	}
	return b.Bytes()
}

// ValidKey says whether key can stand before the equals sign: upper case by
// custom, but any environment variable's name is taken.
func ValidKey(key string) bool {
	for i, c := range key {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return key != ""
}

// quote writes value so that a shell and systemd both read it back.
func quote(value string) string {
	if !strings.ContainsFunc(value, needsQuotes) {
		return value
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range value {
		if strings.ContainsRune("\"\\`$", c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	b.WriteByte('"')
	return b.String()
}

func needsQuotes(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return false
	}
	return !strings.ContainsRune("_-.+:/@%,^", c)
}
