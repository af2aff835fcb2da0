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

// policyFlags is one rule of systemd's image-policy language: what may be done with
// a partition (use), what its flags in the partition table may be, and which
// file systems it may hold. A group of which nothing is set allows all of it.
type policyFlags uint32

const (
	useVerity policyFlags = 1 << iota
	useSigned
	useEncrypted
	useEncryptedWithIntegrity // since systemd 260
	useUnprotected
	useUnused
	useAbsent
	readOnlyOn
	readOnlyOff
	growFSOn
	growFSOff
	holdsBtrfs // file systems: since systemd 260
	holdsErofs
	holdsExt4
	holdsF2fs
	holdsSquashfs
	holdsVfat
	holdsXfs

	useOpen     = useVerity | useSigned | useEncrypted | useEncryptedWithIntegrity | useUnprotected | useUnused | useAbsent
	useIgnore   = useUnused | useAbsent
	anyReadOnly = readOnlyOn | readOnlyOff
	anyGrowFS   = growFSOn | growFSOff
	anyHolds    = holdsBtrfs | holdsErofs | holdsExt4 | holdsF2fs | holdsSquashfs | holdsVfat | holdsXfs
)

// policyFlagNames returns the words of the language in the order in which String
// writes them.
func policyFlagNames() []struct {
	word string
	flag policyFlags
} {
	return []struct {
		word string
		flag policyFlags
	}{
		{"verity", useVerity},
		{"signed", useSigned},
		{"encrypted", useEncrypted},
		{"encryptedwithintegrity", useEncryptedWithIntegrity},
		{"unprotected", useUnprotected},
		{"unused", useUnused},
		{"absent", useAbsent},
		{"read-only-on", readOnlyOn},
		{"read-only-off", readOnlyOff},
		{"growfs-on", growFSOn},
		{"growfs-off", growFSOff},
		{"btrfs", holdsBtrfs},
		{"erofs", holdsErofs},
		{"ext4", holdsExt4},
		{"f2fs", holdsF2fs},
		{"squashfs", holdsSquashfs},
		{"vfat", holdsVfat},
		{"xfs", holdsXfs},
	}
}

// String writes f so that systemd of any version reads it if it can: the words
// open and ignore where they say it all, "-" where nothing is said.
func (f policyFlags) String() string {
	var words []string
	switch f & useOpen {
	case useOpen:
		words, f = append(words, "open"), f&^useOpen
	case useIgnore:
		words, f = append(words, "ignore"), f&^useOpen
	}
	for _, n := range policyFlagNames() {
		if f&n.flag != 0 {
			words = append(words, n.word)
		}
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, "+")
}

// partition is a kind of partition, in systemd's order.
type partition int

const (
	partRoot partition = iota
	partUsr
	partHome
	partSrv
	partESP
	partXbootldr
	partSwap
	partRootVerity
	partUsrVerity
	partRootVeritySig
	partUsrVeritySig
	partTmp
	partVar
	partitions // how many there are
)

func partitionNames() []string {
	return []string{
		"root", "usr", "home", "srv", "esp", "xbootldr", "swap",
		"root-verity", "usr-verity", "root-verity-sig", "usr-verity-sig", "tmp", "var",
	}
}

func (d partition) String() string { return partitionNames()[d] }

// verity returns the designator of the hash tree of d, a data partition.
func (d partition) verity() partition { return d - partRoot + partRootVerity }

// signature returns the designator of the signature of d, a data partition.
func (d partition) signature() partition { return d - partRoot + partRootVeritySig }

// policyRules is a policy in systemd's language. The zero value has no rule for any
// partition and a default that allows nothing but unused or absent ones.
type policyRules struct {
	given    [partitions]bool
	of       [partitions]policyFlags
	fallback policyFlags // of partitions without a rule, if other is true
	other    bool
}

// get returns what holds for d, every group filled in, and less what makes no
// sense for d. A hash tree or signature without a rule of its own follows the
// rule of its data, if there is one that wants it.
func (r *policyRules) get(d partition) policyFlags {
	switch {
	case r.given[d]:
		return normalizeFlags(d, r.of[d])
	case d == partRootVerity || d == partUsrVerity:
		if f, ok := r.inherit(d-partRootVerity+partRoot, useVerity|useSigned); ok {
			return normalizeFlags(d, f)
		}
	case d == partRootVeritySig || d == partUsrVeritySig:
		if f, ok := r.inherit(d-partRootVeritySig+partRoot, useSigned); ok {
			return normalizeFlags(d, f)
		}
	}
	if !r.other {
		return normalizeFlags(d, useIgnore)
	}
	return normalizeFlags(d, r.fallback)
}

// inherit returns what the rule of data means for its hash tree or signature,
// which is needed by any of the uses in needed.
func (r *policyRules) inherit(data partition, needed policyFlags) (policyFlags, bool) {
	if !r.given[data] {
		return 0, false
	}
	f := normalizeFlags(data, r.of[data])
	return useUnprotected | f&(useUnused|useAbsent|anyReadOnly|anyGrowFS), f&needed != 0
}

// normalizeFlags fills in the groups of f that say nothing, and takes away what d
// cannot be.
func normalizeFlags(d partition, f policyFlags) policyFlags {
	for _, group := range []policyFlags{useOpen, anyReadOnly, anyGrowFS, anyHolds} {
		if f&group == 0 {
			f |= group
		}
	}
	switch d {
	case partRoot, partUsr:
	case partRootVerity, partUsrVerity, partRootVeritySig, partUsrVeritySig:
		f &^= useVerity | useSigned | useEncrypted | useEncryptedWithIntegrity
	default:
		f &^= useVerity | useSigned
	}
	if f&useOpen == useAbsent {
		f &^= anyReadOnly | anyGrowFS // of what isn't there they don't matter
	}
	return f
}

// text writes r so that parsePolicyRules reads it back.
func (r *policyRules) text() string {
	var words []string
	for d := range partitions {
		if r.given[d] {
			words = append(words, d.String()+"="+r.of[d].String())
		}
	}
	if len(words) == 0 && r.other {
		switch r.fallback {
		case useOpen:
			return "*"
		case useAbsent:
			return "~"
		case useIgnore:
			return "-"
		}
	}
	if r.other {
		words = append(words, "="+r.fallback.String())
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ":")
}

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
