package trust_test

import (
	"testing"

	"inlay/internal/trust"
)

// everything that there may be to find.
func everything(yield func(trust.Found) bool) {
	for _, designator := range []string{"root", "usr"} {
		for _, fileSystem := range []string{"", "btrfs", "erofs", "ext4", "f2fs", "squashfs", "vfat", "xfs"} {
			for bits := range 1 << 6 {
				on := func(bit int) bool { return bits>>bit&1 != 0 }
				if !yield(trust.Found{
					Designator: designator, FileSystem: fileSystem, Verity: on(0), Signed: on(1),
					Signature: on(2), Naked: on(3), ReadOnly: on(4), GrowFS: on(5),
				}) {
					return
				}
			}
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	for _, seed := range []string{
		"signed", "verity", "any", "*", "-", "~", "=", "=+", "root=", "root=-", ":", "root=signed+absent:usr=signed+absent",
		"root=verity+signed+read-only-on:=ignore+growfs-off", " root = verity + unprotected : = absent ", "root=erofs:root-verity-sig=unused",
		"=open+btrfs+erofs+ext4+f2fs+squashfs+vfat+xfs", "root=open+absent", "home=encryptedwithintegrity+encrypted",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := trust.ParsePolicy(text)
		if err != nil {
			return
		}
		again, err := trust.ParsePolicy(p.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", text, p, err)
		}
		if again != p && again.String() != p.String() {
			t.Fatalf("%q became %q, then %q", text, p, again)
		}
		systemd, err := trust.ParsePolicy(p.Systemd())
		if err != nil {
			t.Fatalf("%q became %q for systemd: %v", text, p.Systemd(), err)
		}
		unsigned := false
		for found := range everything {
			first := p.Check(found) == nil
			if first != (again.Check(found) == nil) || first != (systemd.Check(found) == nil) {
				t.Fatalf("%q, %q and %q disagree about %+v", text, p, p.Systemd(), found)
			}
			unsigned = unsigned || first && !found.Signed
		}
		if unsigned == p.NeedsSignature() {
			t.Fatalf("%q needs a signature: %v; passes without: %v", text, p.NeedsSignature(), unsigned)
		}
	})
}
