//go:build machines

package machines_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/machine"
)

// TestSetAsideSignatures has internal/layer refresh a node on which an extension
// lies whose signer nobody there knows, beside one that is not signed: systemd
// refuses both, unless the signature is set aside; the hash tree counts all the
// same, as the device-mapper shows.
func TestSetAsideSignatures(t *testing.T) {
	t.Parallel()
	p := newPayload(t)
	program := filepath.Join(t.TempDir(), "refresher")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "inlay/test/refresher")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the refresher: %v\n%s", err, output)
	}
	p.add("refresher", program)
	p.add("hello.sysext.raw", buildImage(t, "aside", withInlay, newKeyPair(t, "stranger", "rsa2048")))
	p.run(`
mkdir -p /run/extensions /run/extensions/plain/usr/lib/extension-release.d /run/extensions/plain/usr/share/plain
echo ID=_any >/run/extensions/plain/usr/lib/extension-release.d/extension-release.plain
cp /payload/refresher /payload/hello.sysext.raw /run
chmod +x /run/refresher
ln -s ../hello.sysext.raw /run/extensions/hello.sysext.raw
report() { # CASE VERB
  /run/refresher / sysext "$2" >/run/said
  status=$?
  cat /run/said
  plain=no
  [ ! -e /usr/share/plain ] || plain=yes
  content=none
  if [ -e /usr/share/inlay-test/content ]; then
    content=$(tr ' ' - </usr/share/inlay-test/content)
    cat /usr/share/inlay-test/blob >/dev/null || content=unreadable
  fi
  result "$1" "status=$status plain=$plain content=$content verity=$(dmsetup table --target verity | grep -c verity) merged=$(/run/refresher / sysext merged | tr ' ' ,)"
}
trust
report refused refresh
grep -q 'systemd-sysext says: .*Required key not available' /run/said || result refused reason=missing
report aside refresh-aside
rm /run/extensions/hello.sysext.raw
report without refresh
`)
	results := machine.Run(t, machine.Machine{Root: machine.RootImage(t), Disks: []machine.Disk{p.disk()}})
	for name, want := range map[string]map[string]string{
		"refused": {"status": "1", "plain": "no", "content": "none", "verity": "0", "merged": ""},
		"aside":   {"status": "0", "plain": "yes", "content": contentWord(), "verity": "1", "merged": "/usr,hello,plain"},
		"without": {"status": "0", "plain": "yes", "content": "none", "verity": "0", "merged": "/usr,plain"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want, results.Case(t, name)); diff != "" {
				t.Errorf("the machine reports (-want +got):\n%s", diff)
			}
		})
	}
}
