package trust

import "strings"

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
