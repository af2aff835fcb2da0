package bootstate

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// sentinelFolder is where the boot leaves what it has found out.
const sentinelFolder = "run/cos"

// sentinelRules are the files there that tell a state.
func sentinelRules() []rule {
	return []rule{
		{"active_mode", Active},
		{"passive_mode", Passive},
		{"recovery_mode", Recovery},
		{"autoreset_mode", AutoReset},
		{"live_mode", LiveCD},
	}
}

// sentinels looks for the files of the boot.
func (d *detector) sentinels() {
	var found []finding
	var names []string
	for _, r := range sentinelRules() {
		if d.there(r.word) {
			found = append(found, finding{r.state, "/" + path.Join(sentinelFolder, r.word)})
			names = append(names, r.word)
		}
	}
	switch len(found) {
	case 0:
		d.step("/"+sentinelFolder, "", "no file there tells the state")
	case 1:
		d.fromRun = &found[0]
		d.step("/"+sentinelFolder, names[0], string(found[0].state))
	default:
		d.step("/"+sentinelFolder, strings.Join(names, " "), "they contradict each other: none counts")
		d.conflict("/%s holds %s: none of them counts", sentinelFolder, strings.Join(names, " and "))
	}
	if d.there("uki_boot_mode") {
		d.report.UKI, d.made = true, true
		d.step("/"+sentinelFolder, "uki_boot_mode", "a unified kernel image was booted from the disk")
	}
	if d.there("uki_install_mode") {
		d.report.UKI, d.made = true, true
		d.medium = &finding{Installer, "/" + sentinelFolder + "/uki_install_mode"}
		d.step("/"+sentinelFolder, "uki_install_mode", "a unified kernel image was booted from a medium that installs")
	}
}

// there says whether the boot left a file. What cannot be looked at is told.
func (d *detector) there(name string) bool {
	info, err := d.root.Lstat(path.Join(sentinelFolder, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false
	case err != nil:
		d.step("/"+path.Join(sentinelFolder, name), "", "it cannot be looked at, and does not count: "+err.Error())
		return false
	case !info.Mode().IsRegular():
		d.step("/"+path.Join(sentinelFolder, name), "no regular file", "it does not count")
		return false
	}
	return true
}
