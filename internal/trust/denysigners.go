package trust

import "slices"

// Places are where anchors come from.
type Places struct {
	// All of it is as in [Options], and below its Root.
	Given          []Given
	Files, Folders []string
	Firmware       bool
	VendorCAs      bool
	Chains         bool
}

// Places returns where the anchors of o come from.
func (o Options) Places() Places {
	return Places{
		Given: o.Given, Files: o.Files, Folders: o.Folders,
		Firmware: o.Firmware, VendorCAs: o.VendorCAs, Chains: o.Chains,
	}
}

// collect makes anchors of all that p names.
func (l *loader) collect(p Places) {
	l.given(p.Given)
	l.files(p.Files)
	l.folders(p.Folders)
	l.set.Named = l.set.Named || p.Firmware || len(p.Given) > 0
	if p.Firmware {
		l.firmware(p.VendorCAs)
	}
}

// denySigners returns who may sign deny lists: the anchors as they were before
// the pins, and those of Options.DenyAnchors. They are loaded when the first list
// turns up, since few machines have any. A dbx that cannot be told keeps only the
// firmware's own keys out of DenyAnchors: whoever signs a list can do no more than
// deny, and whoever could replace one could remove it.
func (l *loader) denySigners() *Set {
	if l.signers != nil {
		return l.signers
	}
	from := l.options.DenyAnchors
	d := &loader{
		options: Options{Root: l.options.Root, System: l.options.System, EFIVars: l.options.EFIVars},
		set: &Set{
			Anchors: l.unpinned, chains: l.options.Chains || from.Chains, blind: l.set.blind,
			revoked: slices.Clone(l.set.revoked), dbx: l.set.dbx,
		},
		index: make(map[[32]byte]int), absent: l.absent, blind: l.blind,
	}
	for i, a := range d.set.Anchors {
		d.index[a.Fingerprint()] = i
	}
	d.set.dbx.known = slices.Clone(l.set.dbx.known)
	d.collect(from)
	d.strikeRevoked()
	d.set.blind = d.set.blind && len(d.set.Anchors) == 0 // it is told only if it is why nobody counts
	l.signers = d.set
	return l.signers
}
