package bootstate

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/efi"
	"inlay/internal/guid"
)

const efivars = "sys/firmware/efi/efivars"

// entries are how the names of boot loader entries begin. Those of media have no role
// yet, which an installer gives them.
func entries() []rule {
	return []rule{
		{"active", Active},
		{"passive", Passive},
		{"recovery", Recovery},
		{"statereset", AutoReset},
		{"norole", Installer},
	}
}

// EntryState returns the state that a boot loader entry of a UKI boots, by how
// its name begins, as the initramfs reads it: "active.conf", "active+3.conf",
// "active+2-1", "active_debug.conf". It is Unknown for any other name.
func EntryState(name string) State {
	name = strings.ToLower(name) // it is a file on a FAT
	for _, r := range entries() {
		if strings.HasPrefix(name, r.word) {
			return r.state
		}
	}
	return Unknown
}

// loader looks at the boot loader's variables: what the stub of a UKI says
// first, as it tells whether the others count.
func (d *detector) loader() {
	d.lookForFirmware()
	if !d.firmware {
		return
	}
	if stub, there := d.text("StubInfo"); there {
		d.report.UKI = true
		d.step("StubInfo", stub, "a unified kernel image was booted")
	}
	if !d.report.UKI {
		d.step("/"+efivars, "", "no unified kernel image was booted: the boot loader's variables don't tell the state")
		return
	}
	device, there := d.text("LoaderDevicePartUUID")
	if !there {
		d.fromLoader = &finding{LiveCD, "the missing variable LoaderDevicePartUUID"}
		d.step("LoaderDevicePartUUID", "", "not started from a disk's partition: "+string(LiveCD))
		return
	}
	d.step("LoaderDevicePartUUID", device, "started from a disk's partition")
	entry, _ := d.text("LoaderEntrySelected")
	state := EntryState(entry)
	switch {
	case state != Unknown:
	case d.installs:
		d.fromLoader = &finding{Installer, wordInstall + " on the kernel's command line"}
		d.step("LoaderEntrySelected", entry, "no entry of a profile, and one that installs: "+string(Installer))
		return
	default:
		d.step("LoaderEntrySelected", entry, "no entry of a profile")
		return
	}
	d.fromLoader = &finding{state, oneLine("boot loader entry " + entry)}
	d.step("LoaderEntrySelected", entry, string(state))
}

// lookForFirmware says whether the firmware's variables can be seen at all. Where
// efivarfs is not mounted its folder is empty, which no firmware's is.
func (d *detector) lookForFirmware() {
	names, err := d.names()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.step("/"+efivars, "", "there is no UEFI firmware, or nothing that shows it")
	case err != nil:
		d.step("/"+efivars, "", "it cannot be read: "+reason(err))
	case len(names) == 0:
		d.step("/"+efivars, "", "it is empty: efivarfs is not mounted")
	default:
		d.firmware = true
	}
}

// names returns some names of variables.
func (d *detector) names() ([]string, error) {
	f, err := d.root.OpenFile(efivars, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}

// text reads a variable of the boot loader. One that is there and no string is
// there, and told of.
func (d *detector) text(name string) (text string, there bool) {
	v, err := d.variable(name, efi.Loader())
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	if err == nil {
		text, err = v.Text()
	}
	if err != nil {
		d.step(name, "", "it cannot be read: "+reason(err))
	}
	return text, true
}

func (d *detector) variable(name string, vendor guid.GUID) (efi.Variable, error) {
	b, err := readFile(d.root, path.Join(efivars, efi.FileName(name, vendor)), efi.MaxSize)
	if err != nil {
		return efi.Variable{}, err
	}
	return efi.ParseVariable(b)
}

// reason is an error without the path, which the step names.
func reason(err error) string {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}
