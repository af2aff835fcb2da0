package trust

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"inlay/internal/hint"
)

// maxPolicy bounds the text of a policy, in bytes: each of the 13 designators
// with every flag there is stays below 3 KiB.
const maxPolicy = 4 << 10

// parsePolicyRules reads systemd's image-policy language. Other than systemd it
// takes no backslashes, which there hide the next character for no use.
func parsePolicyRules(text string) (policyRules, error) {
	var r policyRules
	switch {
	case len(text) > maxPolicy:
		return r, fmt.Errorf("a policy of %d bytes is over the limit of %d", len(text), maxPolicy)
	case text == "-":
		return policyRules{other: true, fallback: useIgnore}, nil
	case text == "*":
		return policyRules{other: true, fallback: useOpen}, nil
	case text == "~":
		return policyRules{other: true, fallback: useAbsent}, nil
	}
	for rule := range strings.SplitSeq(text, ":") {
		if err := r.add(rule); err != nil {
			return policyRules{}, err
		}
	}
	return r, nil
}

// add reads one rule.
func (r *policyRules) add(rule string) error {
	name, list, found := strings.Cut(rule, "=")
	name, list = trimPolicy(name), trimPolicy(list)
	switch {
	case trimPolicy(rule) == "":
		return hint.Wrap(errors.New("an empty rule"), "separate rules by one colon, as in "+signedText)
	case !found:
		return hint.Wrap(fmt.Errorf("the rule %q has no equals sign", rule),
			"write signed, verity or any, or rules such as "+signedText)
	}
	f, err := parsePolicyFlags(list)
	if err != nil {
		return fmt.Errorf("the rule %q: %w", trimPolicy(rule), err)
	}
	if name == "" {
		if r.other {
			return errors.New("two rules for the partitions that have none of their own")
		}
		r.other, r.fallback = true, f
		return nil
	}
	i := slices.Index(partitionNames(), name)
	if i < 0 {
		return hint.Wrap(fmt.Errorf("no partition is called %q", name),
			"use one of "+strings.Join(partitionNames(), ", "))
	}
	if r.given[i] {
		return fmt.Errorf("two rules for the partition %s", name)
	}
	r.given[i], r.of[i] = true, f
	return nil
}

func parsePolicyFlags(list string) (policyFlags, error) {
	if list == "" || list == "-" {
		return 0, nil
	}
	var f policyFlags
	names := policyFlagNames()
	for word := range strings.SplitSeq(list, "+") {
		word = trimPolicy(word)
		switch word {
		case "open":
			f |= useOpen
			continue
		case "ignore":
			f |= useIgnore
			continue
		}
		known := false
		for _, n := range names {
			if n.word == word {
				f, known = f|n.flag, true
			}
		}
		if !known {
			words := []string{"open", "ignore"}
			for _, n := range names {
				words = append(words, n.word)
			}
			return 0, hint.Wrap(fmt.Errorf("no flag is called %q", word), "use some of "+strings.Join(words, ", ")+", joined by +")
		}
	}
	return f, nil
}

// trimPolicy takes away the white space that systemd passes over.
func trimPolicy(s string) string { return strings.Trim(s, " \t\n\r") }
