package integration

import (
	"bytes"

	"inlay/internal/rooted"
)

// maxScript bounds the script that is looked into, in bytes.
const maxScript = 1 << 20

// next is what is left to do by hand once an integration is placed.
func (o Options) next(name string) []string {
	switch name {
	case Sysvinit:
		if ordered(o) {
			return []string{"have the order of the scripts made anew: update-rc.d inlay-boot defaults, and update-rc.d inlay-boot-good defaults"}
		}
	case Busybox:
		const rcS = "etc/init.d/rcS"
		text, err := rooted.ReadFile(o.Root, rcS, maxScript)
		if err != nil || !bytes.Contains(text, []byte("/etc/init.d/S")) {
			return []string{"see to it that /" + rcS + " calls all scripts /etc/init.d/S*, in their order and with the word start: it doesn't seem to"}
		}
	}
	return rebuild(name)
}

// after is what is left to do once an integration is removed.
func (o Options) after(name string) []string {
	if name == Sysvinit && ordered(o) {
		return []string{"have the order of the scripts made anew: update-rc.d inlay-boot remove, and update-rc.d inlay-boot-good remove"}
	}
	return rebuild(name)
}

// rebuild is what makes an initrd anew.
func rebuild(name string) []string {
	switch name {
	case Dracut:
		return []string{"make the initrd anew: dracut --force"}
	case Initramfs:
		return []string{"make the initrd anew: update-initramfs -u"}
	default:
		return nil
	}
}

// ordered says whether sysvinit goes by an order that insserv has made of all
// scripts: startpar passes over those that are not in it.
func ordered(o Options) bool {
	return exists(o.Root, "etc/init.d/.depend.boot") && (exists(o.Root, "bin/startpar") || exists(o.Root, "usr/bin/startpar"))
}
