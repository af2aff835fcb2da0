package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"inlay/internal/efi"
	"inlay/internal/rooted"
)

const (
	// efiFolder is there on a running Linux that UEFI has started.
	efiFolder = "sys/firmware/efi"
	// efivars is where Linux shows the firmware's variables.
	efivars = efiFolder + "/efivars"
)

var (
	errNoUEFI     = errors.New("no UEFI here")
	errNotMounted = errors.New("efivarfs is not mounted")
)

// revocations reads what dbx revokes, wherever there are variables to read:
// it only ever takes trust away. Certificates that the firmware knows are kept at
// hand for finding issuers, whatever state Secure Boot is in.
//
// Who asks for the firmware relies on dbx. If that cannot be told, l.blind says
// why, and nobody counts; else what cannot be read is a problem, and where no
// variables are shown (in a container, say) not even that.
func (l *loader) revocations() {
	if l.options.System == nil {
		l.absent = errNoUEFI
		return
	}
	asked, dbx := l.options.Firmware, variable{"dbx", efi.ImageSecurity()}
	if l.absent = l.variables(); l.absent != nil {
		missing := errors.Is(l.absent, errNoUEFI) || errors.Is(l.absent, errNotMounted)
		switch {
		case asked && errors.Is(l.absent, errNoUEFI):
			l.problem("firmware", "%v: no key of it is used", l.absent)
		case asked:
			l.blindness(l.absent, "mount efivarfs there")
		case !missing:
			l.problem(dbx.origin(), "what it revokes is not heeded: %v", l.absent)
		}
		return
	}
	for _, v := range keyVariables() {
		certs, _ := l.keys(v) // l.firmware tells the problems, if they matter
		for _, cert := range certs {
			l.know(cert)
		}
	}
	switch err := l.readRevocations(dbx); {
	case err != nil && asked:
		l.blindness(err, "have dbx written anew, as fwupdmgr does")
	case err != nil:
		l.problem(dbx.origin(), "what it revokes is not heeded: %s", reason(err))
		// The firmware's keys may still be asked for to judge deny lists.
		l.blind = err
	}
}

// blindness says that what dbx revokes cannot be told, and what helps.
func (l *loader) blindness(err error, advice string) {
	l.blind = err
	l.set.blind = true
	l.problem("firmware dbx",
		"nobody is trusted, since what it revokes cannot be told: %s; %s, or do not ask for the firmware's keys", reason(err), advice)
}

// variables says why there are no variables to read. That this machine has none
// is errNoUEFI: that needs a root without the kernel's word for UEFI, as a
// mounted disk is, and nobody who named another place for them.
func (l *loader) variables() error {
	folder := l.folderOfVariables()
	names, err := rooted.ReadNames(l.options.System, folder, maxNames)
	if err == nil && len(names) > 0 {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %s", shown(folder), reason(err))
	}
	// The kernel makes the folder that efivarfs is to be mounted on.
	why := errNotMounted
	if l.options.EFIVars == "" {
		if _, err := rooted.Resolve(l.options.System, efiFolder); errors.Is(err, fs.ErrNotExist) {
			why = errNoUEFI
		}
	}
	return fmt.Errorf("no variables at %s: %w", shown(folder), why)
}

func (l *loader) folderOfVariables() string {
	if l.options.EFIVars != "" {
		return l.options.EFIVars
	}
	return efivars
}

// read reads a variable.
func (l *loader) read(v variable) (efi.Variable, error) {
	b, err := rooted.ReadFile(l.options.System, path.Join(l.folderOfVariables(), efi.FileName(v.name, v.vendor)), efi.MaxSize)
	if err != nil {
		return efi.Variable{}, err
	}
	return efi.ParseVariable(b)
}

// readRevocations reads dbx. That it is missing is fine beside a variable that
// shows that these are the firmware's: then nothing is revoked.
func (l *loader) readRevocations(dbx variable) error {
	value, err := l.read(dbx)
	if errors.Is(err, fs.ErrNotExist) {
		if !l.options.Firmware {
			return nil
		}
		if _, err := l.flag("SecureBoot"); err != nil {
			return fmt.Errorf("it is not there, and %w", err)
		}
		l.problem(dbx.origin(), "not there: nothing is revoked by the firmware")
		return nil
	}
	if err != nil {
		return err
	}
	return l.set.dbx.read(value.Data)
}

// strikeBlind takes out all anchors if nobody can tell which of them are revoked.
func (l *loader) strikeBlind() {
	if l.set.blind {
		l.set.Anchors = nil
	}
}
