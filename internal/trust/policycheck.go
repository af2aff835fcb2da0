package trust

import (
	"errors"
	"fmt"
	"strings"
)

// Check returns nil if p lets an image in that shows f, or else what p wants
// and what was found.
//
// The partitions' presence and flags, and how the data is protected, are held
// against the rules as systemd's dissector does it (257), with two additions:
// only a trusted signature passes as one, and the file system is looked at.
// Encrypted data is never found, so a policy that wants it fits nothing. Where
// the flags of the hash tree and the signature differ from those of the data, no
// rule about flags is met.
func (p Policy) Check(f Found) error {
	_, err := p.Used(f)
	return err
}

// Used is Check, and returns what p leaves in use of f: a policy that lets data
// in unprotected has its hash tree not used at all.
func (p Policy) Used(f Found) (Found, error) {
	r := p.asRules()
	used, err := r.used(f)
	if err != nil {
		return Found{}, fmt.Errorf("the policy %s: %w", p, err)
	}
	return used, nil
}

// NeedsSignature says whether nothing but a trusted signature can pass. It is
// true too for a policy that nothing can pass.
func (p Policy) NeedsSignature() bool {
	r := p.asRules()
	for f := range unsigned {
		if r.check(f) == nil {
			return false
		}
	}
	return true
}

// unsigned yields all there is to find but a trusted signature: a few hundred
// cases, so that NeedsSignature cannot disagree with Check.
func unsigned(yield func(Found) bool) {
	holds := []string{""}
	for _, n := range policyFlagNames() {
		if n.flag&anyHolds != 0 {
			holds = append(holds, n.word)
		}
	}
	for _, name := range []string{"root", "usr"} {
		for _, fileSystem := range holds {
			for bits := range 1 << 5 {
				on := func(bit int) bool { return bits>>bit&1 != 0 }
				f := Found{
					Designator: name, FileSystem: fileSystem,
					Verity: on(0), Signature: on(1), Naked: on(2), ReadOnly: on(3), GrowFS: on(4),
				}
				if !yield(f) {
					return
				}
			}
		}
	}
}

func (r *policyRules) check(f Found) error {
	_, err := r.used(f)
	return err
}

func (r *policyRules) used(f Found) (Found, error) {
	data := partRoot
	switch f.Designator {
	case "root":
	case "usr":
		data = partUsr
	default:
		return Found{}, fmt.Errorf("the data is neither root nor usr but %q", f.Designator)
	}
	if f.Naked {
		data = partRoot // whatever lies in it
	}
	f.Signed = f.Signed && f.Verity // a signature without a tree covers nothing
	f.Signature = f.Signature || f.Signed

	var there [partitions]bool
	there[data] = true
	if !f.Naked {
		there[data.verity()] = f.Verity
		there[data.signature()] = f.Signature
		if err := r.checkPresence(&there, f); err != nil {
			return Found{}, err
		}
		f.Verity = there[data.verity()]
		f.Signature = there[data.signature()]
		f.Signed = f.Signed && f.Signature
		if f.Signature && !f.Verity {
			return Found{}, fmt.Errorf("the partition %s may not be used, and the signature of its root hash must be", data.verity())
		}
	}
	const flags = readOnlyOn | readOnlyOff | growFSOn | growFSOff
	for _, p := range []partition{data, data.verity(), data.signature()} {
		if f.Mixed && there[p] && r.get(p)&flags != flags {
			return Found{}, fmt.Errorf("the partition %s: it wants certain flags, and those of the partitions differ", p)
		}
	}
	want := r.get(data)
	if err := checkProtection(want, f); err != nil {
		return Found{}, fmt.Errorf("the partition %s: %w", data, err)
	}
	if err := checkFlags(want, f); err != nil {
		return Found{}, fmt.Errorf("the partition %s: %w", data, err)
	}
	return f, checkFileSystem(want, f.FileSystem)
}

// checkPresence holds the partitions that are there, and those that are not,
// against the rules, and takes out of there what the rules leave unused.
func (r *policyRules) checkPresence(there *[partitions]bool, f Found) error {
	for p := range partitions {
		want := r.get(p)
		use := want & useOpen
		data := p == partRoot || p == partUsr
		switch {
		case !there[p] && use&useAbsent == 0:
			return fmt.Errorf("a partition %s must be there (%s), and it is not", p, use)
		case !there[p]:
		case use == useAbsent:
			return fmt.Errorf("the partition %s must not be there, and it is", p)
		case use&^useAbsent == useUnused:
			there[p] = false
		case data: // how it is protected is looked at later
		case use&(useUnprotected|useUnused) == 0:
			return fmt.Errorf("the partition %s may not be used in any way", p)
		default:
			if err := checkFlags(want, f); err != nil {
				return fmt.Errorf("the partition %s: %w", p, err)
			}
		}
	}
	return nil
}

// checkProtection decides whether the data may be used as it is protected. What
// has a signature to use wants the rule to take signed data; if the signature is
// not trusted, the rule must take a mere hash tree too.
func checkProtection(want policyFlags, f Found) error {
	use := want & useOpen
	var fits bool
	switch {
	case use&^useIgnore == 0:
		return errors.New("it may not be used")
	case f.Verity && f.Signature && !f.Naked:
		fits = use&useSigned != 0 && (f.Signed || use&useVerity != 0)
	case f.Verity:
		fits = use&useVerity != 0 || f.Signed && use&useSigned != 0
	default:
		fits = use&useUnprotected != 0
	}
	if fits {
		return nil
	}
	var ways []string
	for _, way := range []struct {
		flag policyFlags
		text string
	}{
		{useVerity, "a hash tree"},
		{useSigned, "a hash tree with a signature by a trusted key"},
		{useUnprotected, "no hash tree"},
		{useEncrypted | useEncryptedWithIntegrity, "encryption, which extensions don't have"},
	} {
		if use&way.flag != 0 {
			ways = append(ways, way.text)
		}
	}
	found := "nothing protects it"
	switch {
	case f.Verity && f.Signature && f.Signed:
		found = "it has a hash tree with a trusted signature"
	case f.Verity:
		found = "it has a hash tree without a trusted signature"
	}
	return fmt.Errorf("it wants %s, and %s", strings.Join(ways, " or "), found)
}

// checkFlags holds the flags in the partition table against the rule. Where
// there is no table they are off.
func checkFlags(want policyFlags, f Found) error {
	if f.Naked {
		f.ReadOnly, f.GrowFS = false, false
	}
	for _, c := range []struct {
		name    string
		on, off policyFlags
		set     bool
	}{
		{"read-only", readOnlyOn, readOnlyOff, f.ReadOnly},
		{"growfs", growFSOn, growFSOff, f.GrowFS},
	} {
		switch {
		case c.set && want&c.on == 0:
			return fmt.Errorf("the flag %s must be off, and it is on", c.name)
		case !c.set && want&c.off == 0:
			return fmt.Errorf("the flag %s must be on, and it is off", c.name)
		}
	}
	return nil
}

// checkFileSystem holds blkid's word for the file system against the rule.
func checkFileSystem(want policyFlags, fileSystem string) error {
	if want&anyHolds == anyHolds {
		return nil
	}
	var allowed []string
	for _, n := range policyFlagNames() {
		if want&n.flag&anyHolds == 0 {
			continue
		}
		if n.word == fileSystem {
			return nil
		}
		allowed = append(allowed, n.word)
	}
	if fileSystem == "" {
		fileSystem = "unknown"
	}
	return fmt.Errorf("it wants the file system %s, and it is %s", strings.Join(allowed, " or "), fileSystem)
}
