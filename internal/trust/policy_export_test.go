package trust

// Effective returns what p allows for each designator, as systemd-analyze
// image-policy prints it: the uses, and for the flags "yes", "no" or "-".
func (p Policy) Effective() map[string][3]string {
	table := map[string][3]string{}
	r := p.asRules()
	for d := range partitions {
		f := r.get(d)
		table[d.String()] = [3]string{(f & useOpen).String(), flagWord(f, readOnlyOn, readOnlyOff), flagWord(f, growFSOn, growFSOff)}
	}
	return table
}

func flagWord(f, on, off policyFlags) string {
	switch f & (on | off) {
	case on:
		return "yes"
	case off:
		return "no"
	}
	return "-"
}
