package config

import (
	"errors"
	"slices"
	"strings"

	"inlay/internal/hint"
)

// maxCloud bounds a cloud-config, in bytes: it may carry whole files.
const maxCloud = 4 << 20

// IsCloudConfig says whether text begins with the line that makes a file a
// cloud-config: one that belongs to others, of which a part may be ours.
func IsCloudConfig(text []byte) bool {
	first, _, _ := strings.Cut(string(text[:min(len(text), 64)]), "\n")
	switch strings.TrimSpace(first) {
	case "#cloud-config", "#node-config", "#kairos-config":
		return true
	}
	return false
}

// parseCloud reads install.trust and install.policy, and says whether there is
// any. All else never reaches the YAML parser: it may hold templates, what our
// parser does not know, or more than it could bear.
func parseCloud(c *Config, name string, text []byte) (bool, error) {
	d := newDocument(name, text)
	if len(text) > maxCloud {
		return true, d.check(len(text), maxCloud)
	}
	ours, err := d.ours()
	if ours == nil || err != nil {
		return err != nil, err
	}
	size := 0
	for _, line := range ours {
		size += len(line)
	}
	part := &document{name: name, lines: ours}
	if err := part.check(size, maxFile); err != nil {
		return true, err
	}
	body, err := d.parse(ours)
	if body == nil || err != nil {
		return true, err
	}
	return true, d.mapping(body, "install", c.fields(d))
}

// ours returns the lines of the file with all emptied but those of install.trust
// and install.policy, or nil if there are none of those.
func (d *document) ours() ([]string, error) {
	s := scan{kept: make([]string, len(d.lines)), child: -1}
	var l lines
	for i, line := range d.lines {
		as := l.next(line)
		before := s.keep
		if l.lost && s.lost == 0 {
			s.lost = i + 1
		}
		s.line(i, line, as)
		// Some parsers take odd lines for more of the value above.
		if s.lost == i+1 && !s.keep && (before || s.inside && s.found) {
			s.doubtText(i)
		}
	}
	switch {
	case s.unclear > 0:
		return nil, d.atPlace(s.unclear, 1, hint.Wrap(errors.New("install.trust or install.policy may be meant here, and cannot be told"), s.cause()))
	case s.odd > 0 && slices.ContainsFunc(s.doubtful(d.lines), mentionsOurs):
		return nil, d.atPlace(s.odd, 1, hint.Wrap(errors.New("install.trust or install.policy may be meant here, and cannot be told"),
			"write install: on a line of its own, and trust: and policy: indented below it by spaces, without braces, aliases or merge keys"))
	case !s.found:
		return nil, nil
	case s.installs > 1:
		return nil, d.atPlace(s.install, 1, hint.Wrap(errors.New("install is given twice"), "put both under one key"))
	case s.documents > 1:
		return nil, d.atPlace(s.document, 1, hint.Wrap(errors.New("a second document"), "put all keys into one document, without ---"))
	}
	return s.kept, nil
}
