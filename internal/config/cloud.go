package config

import (
	"errors"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

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
// any.
func parseCloud(c *Config, name string, text []byte) (bool, error) {
	d, err := trustKeys().part(name, text)
	if d == nil || err != nil {
		return err != nil, err
	}
	body, err := d.parse(d.lines)
	if body == nil || err != nil {
		return true, err
	}
	return true, d.mapping(body, "", fields{
		"install": func(n ast.Node) error { return d.mapping(n, "install", c.shared(d)) },
	})
}

// ours returns the lines of the file with all emptied but those of the keys and
// the one of install, or nil if there are none of those.
func (d *document) ours(keys ours) ([]string, error) {
	s := scan{ours: keys, kept: make([]string, len(d.lines)), child: -1}
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
		return nil, d.atPlace(s.unclear, 1, hint.Wrap(keys.unclear(), s.cause()))
	case s.odd > 0 && slices.ContainsFunc(s.doubtful(d.lines), keys.mentioned):
		return nil, d.atPlace(s.odd, 1, hint.Wrap(keys.unclear(), keys.apart()))
	case !s.found:
		return nil, nil
	case s.installs > 1:
		return nil, d.atPlace(s.install, 1, hint.Wrap(errors.New("install is given twice"), "put both under one key"))
	case s.documents > 1:
		return nil, d.atPlace(s.document, 1, hint.Wrap(errors.New("a second document"), "put all keys into one document, without ---"))
	}
	return s.kept, nil
}
