package debian

import (
	"context"
	"crypto/rand"
	_ "embed" // boot.sh
	"os"
	"path/filepath"
	"testing"
	"time"

	"inlay/test/need"
)

// bootScript turns the namespace of a command into a container with systemd in it.
//
//go:embed boot.sh
var bootScript string

// bootLimit is how long a container may take from its start to its end. It
// takes about two seconds and what the script takes.
const bootLimit = 5 * time.Minute

// removeScript removes the control group that it gets, whose processes are
// gone or about to go.
const removeScript = `
mount -t cgroup2 cgroup2 /sys/fs/cgroup
cd "/sys/fs/cgroup/$1" || exit 0
echo 1 >cgroup.kill
cd ..
for try in 1 2 3 4 5 6 7 8 9 10; do
  find "$1" -depth -type d -exec rmdir {} + && exit 0
  sleep 0.1
done
exit 1
`

// Boot boots the root with its own systemd as PID 1, in a container without a
// network (systemd-nspawn), and runs script in it as a service (sh -eu) as soon
// as multi-user.target is reached. It returns what the script printed on both
// streams, after the container has ended; a script that fails, or that does not
// get to its end, fails the test.
//
// prepare is a script too, which runs before the boot: there systemctl works on
// files alone, as for "systemctl enable". What both scripts write is gone
// afterwards, except below binds, which are those of [Root.Command]; "/job" and
// "/container" are taken.
//
// The kernel is the host's, and nspawn shows none of its devices: systemd-sysext
// merges folders. After "mount -t devtmpfs devtmpfs /dev" in script there are loop
// devices, and it merges disk images too, as long as they need no device-mapper:
// ones that nothing was signed of, and whose root hash nobody gives it.
func (r *Root) Boot(t testing.TB, binds map[string]string, prepare, script string) string {
	t.Helper()
	need.FileSystem(t, "cgroup2")
	job := t.TempDir()
	if err := os.WriteFile(filepath.Join(job, "run.sh"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	cgroup := "inlay-" + rand.Text()
	argv := []string{"sh", "-euc", bootScript, "boot.sh", cgroup, prepare, "/job"}
	all := map[string]string{job: "/job"}
	for _, b := range sortedBinds(t, binds) {
		all[b.source] = b.target
		argv = append(argv, b.target)
	}

	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	start := time.Now()
	log, err := r.Command(ctx, t, all, argv...).CombinedOutput()
	// The test may be over already, and what it leaves must go all the same.
	removal := r.Command(context.WithoutCancel(ctx), t, nil, "sh", "-euc", removeScript, "remove.sh", cgroup)
	if text, err := removal.CombinedOutput(); err != nil {
		t.Errorf("removing the control group %q: %v\n%s", cgroup, err, text)
	}
	output, readErr := os.ReadFile(filepath.Join(job, "output"))
	if err != nil || readErr != nil {
		t.Fatalf("booting a container: %v; %v\n%s\nthe script printed:\n%s", err, readErr, log, output)
	}
	t.Logf("booted and ran the script in %.1f s", time.Since(start).Seconds())
	return string(output)
}
