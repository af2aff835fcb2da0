package secureboot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"inlay/internal/efi"
	"inlay/internal/hint"
)

// ErrSetupMode says that firmware has a platform key, and so takes no other.
var ErrSetupMode = errors.New("the firmware is not in setup mode")

// EnrollOptions says how to enrol.
type EnrollOptions struct {
	DryRun bool // check everything and write nothing
}

// Written is one write to the firmware.
type Written struct {
	Variable string
	// File is that in efivarfs.
	File string
	// Certificates and Hashes are how many entries the update has.
	Certificates, Hashes int
}

// Enroll writes db, KEK and PK of a set to the firmware whose variables lie in
// root, an efivarfs. PK comes last: with it, setup mode ends. The firmware must be
// in setup mode, else the error is ErrSetupMode, and the set's chain of signatures
// must hold: firmware asks for it later, when nobody can mend it so easily. What
// was written before an error is returned with it; until PK is written, firmware
// enforces nothing.
func Enroll(ctx context.Context, root *os.Root, set *Set, o EnrollOptions) ([]Written, error) {
	done, err := enroll(ctx, root, set, o)
	if err != nil {
		return done, fmt.Errorf("enrolling the keys in %q: %w", set.Dir, err)
	}
	return done, nil
}

func enroll(ctx context.Context, root *os.Root, set *Set, o EnrollOptions) ([]Written, error) {
	setup, err := SetupMode(root)
	switch {
	case err != nil:
		return nil, err
	case setup == nil:
		return nil, hint.Wrap(errors.New("the firmware does not say whether it is in setup mode"),
			"is efivarfs mounted, and does the machine know Secure Boot?")
	case !*setup:
		return nil, hint.Wrap(ErrSetupMode, "take the platform key away in the firmware's own menu (\"reset to setup mode\", \"clear keys\"), and come again")
	}
	var plan []write
	for _, name := range []string{nameDB, nameKEK, namePK} {
		data, err := set.Auth(name)
		if err != nil {
			return nil, err
		}
		_, lists, err := readAuth(name, data)
		if err != nil {
			return nil, err
		}
		plan = append(plan, newWrite(name, efi.KeyAttributes, data, lists))
	}
	if faults := set.chain(); len(faults) > 0 {
		return nil, hint.Wrap(errors.Join(faults...), "make the updates again, or a new set: inlay keys create")
	}
	return carryOut(ctx, root, plan, o)
}

// write is what goes to a variable's file: attributes and update, at once.
type write struct {
	Written

	content []byte
}

func newWrite(name string, attributes uint32, auth []byte, lists []efi.List) write {
	c := countLists(name, lists)
	return write{
		Written{Variable: name, File: efi.FileName(name, vendorOfAny(name)), Certificates: c.Certificates, Hashes: c.Hashes},
		efi.Variable{Attributes: attributes, Data: auth}.Marshal(),
	}
}

func carryOut(ctx context.Context, root *os.Root, plan []write, o EnrollOptions) ([]Written, error) {
	var done []Written
	for _, w := range plan {
		if err := ctx.Err(); err != nil {
			return done, context.Cause(ctx)
		}
		if !o.DryRun {
			if err := writeVariable(root, w.File, w.content); err != nil {
				return done, hint.Default(fmt.Errorf("writing %s: %w", w.Variable, err), refusal(err))
			}
		}
		done = append(done, w.Written)
	}
	return done, nil
}

// refusal says what to do about firmware's answer, as the kernel words it.
func refusal(err error) string {
	switch {
	case errors.Is(err, syscall.EACCES):
		return "the firmware does not accept the signature; a set that is older than the one before is refused, too"
	case errors.Is(err, syscall.ENOSPC):
		return "the firmware has no room: delete variables that are not needed, or leave out others' certificates"
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EPERM):
		return "run it as root, with efivarfs mounted for writing"
	default:
		return "see the kernel's log: dmesg"
	}
}
