package boot_test

import (
	"testing"

	"inlay/internal/boot"
)

// TestGoodWithout marks boots good in which nothing, or nothing of a kind, was linked
// since somebody has switched that off: what had booted well is good all the same.
func TestGoodWithout(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"inlay.boot=0", "systemd.sysext=0"} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, "COS_ACTIVE")
			n.tries = 2
			n.add(n.signed("tool"), "active")
			n.run()
			n.good()
			n.reboot()
			n.write("proc/cmdline", "root=LABEL=COS_ACTIVE "+word)
			n.run()
			n.good()
			n.reboot()
			n.write("proc/cmdline", "root=LABEL=COS_ACTIVE")
			r := n.run()
			if len(r.Extensions) != 1 || r.Extensions[0].Result != boot.Linked || r.Extensions[0].Trial != nil {
				t.Errorf("what was good is on trial again: %+v", r.Extensions)
			}
		})
	}
}
