package layer

import (
	"fmt"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/osrelease"
	"inlay/internal/version"
)

// keyVersion stands in for VERSION_ID, and the level, of a release file.
const keyVersion = "INLAY_VERSION_ID"

// extendedKeys are the keys of ours in a release file, and the host's that each is
// about. systemd knows none of them.
func extendedKeys() map[string]string {
	return map[string]string{
		keyVersion:            extension.KeyVersionID,
		"INLAY_IMAGE_ID":      "IMAGE_ID",
		"INLAY_IMAGE_VERSION": "IMAGE_VERSION",
		"INLAY_VARIANT_ID":    "VARIANT_ID",
		"INLAY_BUILD_ID":      "BUILD_ID",
	}
}

// maxConditions bounds how many comparisons one key may have.
const maxConditions = 64

// conditions are what a release file asks of the host by keys of ours:
//
//	INLAY_VERSION_ID=">=1.2 <2 || =3.1"
//
// Each alternative, between "||", is a list of comparisons that must all hold: one
// of the operators = != < <= > >= and, without a blank, a version, which compares
// as systemd compares versions (UAPI.10). A version without an operator is to be
// equal, as a text. A key that the host doesn't have meets no comparison but "!=".
// All keys must hold, beside what systemd asks; INLAY_VERSION_ID replaces what
// systemd asks of VERSION_ID and the level.
type conditions []condition

// condition is one key.
type condition struct {
	key, host    string
	text         string
	alternatives [][]comparison
}

type comparison struct{ operator, version string }

// conditionsOf reads the keys. What cannot be read is an error, as what it was to
// keep out is not known.
func conditionsOf(r *osrelease.Release) (conditions, error) {
	var all conditions
	known := extendedKeys()
	for _, f := range r.Fields() {
		if !strings.HasPrefix(f.Key, "INLAY_") {
			continue
		}
		host, ok := known[f.Key]
		if !ok {
			return nil, hint.Wrap(fmt.Errorf("the release file has %s, which this version of inlay doesn't know", f.Key), "mend the key, or use a newer inlay")
		}
		alternatives, err := alternativesOf(f.Value)
		if err != nil {
			return nil, hint.Wrap(fmt.Errorf("reading %s=%q: %w", f.Key, f.Value, err), `write it as in INLAY_VERSION_ID=">=1.2 <2 || =3.1"`)
		}
		all = append(all, condition{f.Key, host, f.Value, alternatives})
	}
	return all, nil
}

func alternativesOf(text string) ([][]comparison, error) {
	var alternatives [][]comparison
	count := 0
	for part := range strings.SplitSeq(text, "||") {
		var list []comparison
		for word := range strings.FieldsSeq(part) {
			rest := strings.TrimLeft(word, "=!<>")
			c := comparison{word[:len(word)-len(rest)], rest}
			if !slices.Contains([]string{"", "=", "!=", "<", "<=", ">", ">="}, c.operator) {
				return nil, fmt.Errorf("%q is no operator", c.operator)
			}
			if rest == "" {
				return nil, fmt.Errorf("%q stands without a version", c.operator)
			}
			list = append(list, c)
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("an alternative is empty")
		}
		if count += len(list); count > maxConditions {
			return nil, fmt.Errorf("more than %d comparisons", maxConditions)
		}
		alternatives = append(alternatives, list)
	}
	return alternatives, nil
}

// match returns nil if all conditions hold.
func (all conditions) match(h extension.Host) error {
	for _, c := range all {
		have := h.Release.Get(c.host)
		holds := slices.ContainsFunc(c.alternatives, func(list []comparison) bool {
			return !slices.ContainsFunc(list, func(one comparison) bool { return !one.holds(have) })
		})
		if holds {
			continue
		}
		if have == "" {
			return hint.Wrap(fmt.Errorf("the extension is for %s %s, and the host has no %s", c.host, c.text, c.host), "get the build for this host")
		}
		return hint.Wrap(fmt.Errorf("the extension is for %s %s, and the host has %s", c.host, c.text, have), "get the build for this host")
	}
	return nil
}

func (c comparison) holds(have string) bool {
	switch {
	case c.operator == "":
		return have == c.version
	case have == "":
		return c.operator == "!="
	}
	order := version.Compare(have, c.version)
	switch c.operator {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

// relaxed is the release file as systemd is to match it: with the host's own
// version if ours has been asked.
func (all conditions) relaxed(k extension.Kind, h extension.Host, r *osrelease.Release) *osrelease.Release {
	if !slices.ContainsFunc(all, func(c condition) bool { return c.key == keyVersion }) {
		return r
	}
	relaxed := new(osrelease.Release)
	for _, f := range r.Fields() {
		if f.Key != k.LevelKey && f.Key != extension.KeyVersionID {
			relaxed.Set(f.Key, f.Value)
		}
	}
	if v := h.Release.Get(extension.KeyVersionID); v != "" {
		relaxed.Set(extension.KeyVersionID, v)
	}
	return relaxed
}
