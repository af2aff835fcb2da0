package layer

import (
	"os"
	"path"

	"inlay/internal/rooted"
)

// initScripts says whether the init of a system runs scripts that lie below /etc, as
// those of sysvinit, OpenRC and busybox do: after a merge over /etc of which nothing
// may be executed, none of them could, and the boot would end there. systemd has only
// units in it.
func initScripts(root *os.Root) bool {
	if _, err := rooted.Resolve(root, "etc/init.d"); err != nil {
		return false
	}
	if _, err := rooted.Resolve(root, "run/systemd/system"); err == nil {
		return false
	}
	init, err := rooted.Resolve(root, "sbin/init")
	return err == nil && path.Base(init) != "systemd"
}
