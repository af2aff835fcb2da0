package config

import (
	"fmt"
	"slices"
	"strings"
)

// ours are the keys of a cloud-config that a reader is about.
type ours struct {
	top     []string // beside install
	install []string // below it
}

// trustKeys are what the configuration of trust is about.
func trustKeys() ours { return ours{install: []string{"trust", "policy"}} }

// names lists the keys for people, "or" before the last.
func (o ours) names() string {
	names := slices.Clone(o.top)
	for _, key := range o.install {
		names = append(names, "install."+key)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// unclear is the error for a line that may hold one of the keys.
func (o ours) unclear() error {
	return fmt.Errorf("%s may be meant here, and cannot be told", o.names())
}

// apart is the advice to write the keys so that they can be told.
func (o ours) apart() string {
	var below []string
	for _, key := range o.install {
		below = append(below, key+":")
	}
	return "write install: on a line of its own, and " + strings.Join(below, " and ") + " indented below it by spaces, without braces, aliases or merge keys"
}

// mentioned says whether one of our keys may stand in a line.
func (o ours) mentioned(line string) bool {
	for _, key := range slices.Concat(o.top, o.install) {
		for rest := line; ; {
			before, after, ok := strings.Cut(rest, key)
			if !ok {
				break
			}
			rest = after
			begins := before == "" || strings.ContainsAny(before[len(before)-1:], " \t{,\"'-?")
			after = strings.TrimLeft(after, "\"' \t")
			if begins && (after == "" || after[0] == ':') {
				return true
			}
		}
	}
	return false
}

// part returns what of a cloud-config is about the keys, as a document whose other
// lines are empty, or nil if there is none of them. All else never reaches the YAML
// parser: it may hold templates, what our parser does not know, or more than it
// could bear.
func (o ours) part(name string, text []byte) (*document, error) {
	d := newDocument(name, text)
	if len(text) > maxCloud {
		return nil, d.check(len(text), maxCloud)
	}
	lines, err := d.ours(o)
	if lines == nil || err != nil {
		return nil, err
	}
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	part := &document{name: name, keys: maxKeys, lines: lines}
	return part, part.check(size, maxFile)
}
