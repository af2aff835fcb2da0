package bootstate

import (
	"errors"
	"io/fs"

	"inlay/internal/efi"
)

// secureBoot is the variable that tells whether it is on.
const secureBoot = "SecureBoot"

// trusted looks at whether the firmware checked what it booted. It needs to know
// whether that was a UKI.
func (d *detector) trusted() {
	var on, onKnown, setup, setupKnown bool
	if d.firmware {
		on, onKnown = d.flag(secureBoot)
		setup, setupKnown = d.flag("SetupMode")
	}
	r := d.report
	r.SecureBoot = onKnown && setupKnown && on && !setup
	off := onKnown && !on || setupKnown && setup
	switch {
	case !r.UKI:
		d.step("trusted boot", "", "no: no unified kernel image was booted")
	case r.SecureBoot:
		r.TrustedBoot = true
		d.step("trusted boot", "", "yes: a unified kernel image under Secure Boot")
	case off:
		d.step("trusted boot", "", "no: Secure Boot is off, or the firmware in setup mode")
	default:
		// A UKI needs UEFI, so the variables exist: something hides or spoils them.
		r.TrustedBoot = true
		d.step("trusted boot", "", "taken for one: a unified kernel image, and the firmware does not say that Secure Boot is off")
	}
}

// flag reads a variable of the firmware that is on or off.
func (d *detector) flag(name string) (on, known bool) {
	v, err := d.variable(name, efi.GlobalVariable())
	if err == nil {
		on, err = v.Flag()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.step(name, "", "there is no such variable")
		// A firmware without the one knows no Secure Boot, as the kernel sees it,
		// too; without the other it is not as it should be.
		return false, name == secureBoot
	case err != nil:
		d.step(name, "", "it cannot be read: "+reason(err))
		return false, false
	case on:
		d.step(name, "1", "on")
	default:
		d.step(name, "0", "off")
	}
	return on, true
}
