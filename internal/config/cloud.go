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
	d := &document{name: name, lines: strings.Split(string(text), "\n")}
	if len(text) > maxCloud {
		return true, d.check(text, maxCloud)
	}
	ours, err := d.ours()
	if ours == nil || err != nil {
		return err != nil, err
	}
	part := strings.Join(ours, "\n")
	if err := d.check([]byte(part), maxCloud); err != nil {
		return true, err
	}
	if len(strings.TrimSpace(part)) > maxFile {
		return true, d.atPlace(1, 1, hint.Wrap(errors.New("install.trust is too large"), "put certificates into files"))
	}
	body, err := d.parse(part)
	if body == nil || err != nil {
		return true, err
	}
	return true, d.mapping(body, "install", c.fields(d))
}

// ours returns the lines of the file with all emptied but those of install.trust
// and install.policy, or nil if there are none of those. It goes by keys at the
// beginning of lines and by indentation alone. Where that can't tell, in what
// is written between braces or by alias, and our keys are somewhere, it refuses.
func (d *document) ours() ([]string, error) {
	kept := make([]string, len(d.lines))
	var (
		installs, documents []int
		inside, keep        bool
		child               = -1 // the indentation of the keys below install
		found               bool
		odd                 = -1 // a line that may hide our keys
	)
	for i, text := range d.lines {
		body := strings.TrimLeft(text, " ")
		indent := len(text) - len(body)
		if trimmed := strings.TrimSpace(body); trimmed == "" || strings.HasPrefix(trimmed, "#") {
			if keep && trimmed != "" && indent <= child {
				continue
			}
			if keep {
				kept[i] = text
			}
			continue
		}
		if indent == 0 {
			inside, keep, child = false, false, -1
			switch key, rest := splitKey(body); {
			case strings.HasPrefix(body, "---"), strings.HasPrefix(body, "..."):
				documents = append(documents, i)
			case key == "install":
				installs = append(installs, i)
				inside = rest == ""
				if !inside {
					odd = i
				}
			case strings.HasPrefix(body, "{"), key == "<<":
				odd = i
			}
			continue
		}
		if !inside {
			continue
		}
		if child < 0 {
			child = indent
		}
		if indent <= child {
			key, _ := splitKey(body)
			keep = indent == child && slices.Contains([]string{"trust", "policy"}, key)
			found = found || keep
			if key == "<<" {
				odd = i
			}
		}
		if keep {
			kept[i] = text
		}
	}
	switch {
	case odd >= 0 && d.mentionsOurs():
		return nil, d.atPlace(odd+1, 1, hint.Wrap(errors.New("install.trust or install.policy may be meant here, and cannot be told"),
			"write install: on a line of its own, and trust: and policy: indented below it, without braces, aliases or merge keys"))
	case !found:
		return nil, nil
	case len(installs) > 1:
		return nil, d.atPlace(installs[1]+1, 1, hint.Wrap(errors.New("install is given twice"), "put both under one key"))
	case slices.ContainsFunc(documents, func(i int) bool { return i > installs[0] || d.contentBefore(i) }):
		return nil, d.atPlace(documents[len(documents)-1]+1, 1, hint.Wrap(errors.New("a second document"), "put all keys into one document, without ---"))
	}
	return kept, nil
}

// mentionsOurs says whether our keys stand anywhere in the file.
func (d *document) mentionsOurs() bool {
	return slices.ContainsFunc(d.lines, func(line string) bool {
		for _, key := range []string{"trust", "policy"} {
			if _, after, ok := strings.Cut(line, key); ok && strings.Contains(strings.TrimLeft(after, `"' `)+" ", ":") {
				return true
			}
		}
		return false
	})
}

// contentBefore says whether there is more than comments before a line.
func (d *document) contentBefore(line int) bool {
	return slices.ContainsFunc(d.lines[:line], func(text string) bool {
		text = strings.TrimSpace(text)
		return text != "" && !strings.HasPrefix(text, "#")
	})
}

// splitKey returns the key that a line begins with, and what stands behind its
// colon but a comment.
func splitKey(body string) (key, rest string) {
	key, rest, found := strings.Cut(body, ":")
	if !found {
		return "", ""
	}
	key, rest = strings.TrimSpace(key), strings.TrimSpace(rest)
	if len(key) >= 2 && (key[0] == '"' || key[0] == '\'') && key[len(key)-1] == key[0] {
		key = key[1 : len(key)-1]
	}
	if strings.HasPrefix(rest, "#") {
		rest = ""
	}
	return key, rest
}
