package mount_test

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/mount"
)

// TestApart makes a stack anew from what the old one covers, which is laid bare in
// a namespace apart.
func TestApart(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		if !m.Features().Trees {
			t.Skip("before 5.2 mounts cannot change their namespace")
		}
		for name, propagation := range propagations() {
			t.Run(name, func(t *testing.T) {
				dir := scratch(t, propagation)
				usr := folder(t, dir+"/usr", map[string]string{"host": "h", "sub/": ""})
				ok(t, unix.Mount("inner", usr+"/sub", "tmpfs", 0, ""))
				before := outsideStaging(t)
				tree := stackOf(t, m, dir, usr, "old")
				graft(t, m, tree, usr)
				ok(t, tree.AttachTo(usr))
				dev := must(tree.Device())(t)
				ok(t, tree.Close())
				merged := outsideStaging(t)

				apart := must(mount.NewApart())(t)
				var next *mount.Tree
				ok(t, apart.Run(func() error {
					if err := mount.Detach(usr, dev); err != nil {
						return err
					}
					if _, err := os.Stat(usr + "/which"); !errors.Is(err, unix.ENOENT) {
						t.Errorf("the merge is still there: %v", err)
					}
					next = stackOf(t, m, dir, usr, "new")
					return nil
				}))
				if diff := cmp.Diff(merged, outsideStaging(t)); diff != "" {
					t.Errorf("it shows here:\n%s", diff)
				}
				ok(t, apart.Close())
				graft(t, m, next, usr)
				did := must(m.Replace(usr, next))(t)
				ok(t, errors.Join(did.Old.Close(), next.Close()))
				if got := read(t, usr+"/which") + read(t, usr+"/host"); got != "newh" {
					t.Errorf("afterwards %q is there", got)
				}
				ok(t, mount.Detach(usr, mounted(t, usr).Device))
				if diff := cmp.Diff(before, outsideStaging(t)); diff != "" {
					t.Errorf("not as it was (-before +after):\n%s", diff)
				}
			})
		}
	})
}
