package cli

import (
	"inlay/internal/boot"
	"inlay/internal/layer"
)

// checked says of what the boot step has linked who has checked its signature, as far
// as the kernel gives it out by now: systemd's own services leave no report of what
// they merge.
func checked(extensions []boot.Extension, devices map[string]layer.Mapped) {
	for n := range extensions {
		x := &extensions[n]
		d, mapped := devices[x.RootHash]
		switch {
		case !mapped || x.Result != boot.Linked || x.Signer == "":
		case d.KernelVerified:
			x.CheckedBy = boot.ByKernel
		default:
			x.CheckedBy = boot.InUserSpace
		}
	}
}

// mapped completes what is merged, and of which no report says how.
func (s *sight) mapped(devices map[string]layer.Mapped) {
	for n := range s.Found {
		x := &s.Found[n]
		if d, mapped := devices[x.RootHash]; mapped && x.Merged && x.Mapping == "" && x.Guarantee == "" {
			x.Mapping, x.KernelVerified, x.Corrupt = d.Name, d.KernelVerified, d.Corrupt
		}
	}
}

// checked is for the part of status that is about the boot.
func (b *bootSeen) checked(devices map[string]layer.Mapped) {
	if b != nil {
		checked(b.Extensions, devices)
	}
}
