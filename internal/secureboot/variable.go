package secureboot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"inlay/internal/efi"
	"inlay/internal/guid"
)

// vendorOfAny returns the vendor of a variable that this package reads.
func vendorOfAny(name string) guid.GUID {
	if vendor, ok := efi.VendorOf(name); ok {
		return vendor
	}
	return efi.GlobalVariable() // SecureBoot and SetupMode
}

// readVariable reads a variable of an efivarfs.
func readVariable(root *os.Root, name string) (efi.Variable, error) {
	f, err := root.Open(efi.FileName(name, vendorOfAny(name)))
	if err != nil {
		return efi.Variable{}, fmt.Errorf("reading the firmware's %s: %w", name, bare(err))
	}
	defer f.Close()
	data, err := readAll(f)
	if err != nil {
		return efi.Variable{}, fmt.Errorf("reading the firmware's %s: %w", name, err)
	}
	v, err := efi.ParseVariable(data)
	if err != nil {
		return efi.Variable{}, fmt.Errorf("reading the firmware's %s: %w", name, err)
	}
	return v, nil
}

// readFlag reads a variable that is on or off, or returns nil if there is none.
func readFlag(root *os.Root, name string) (*bool, error) {
	v, err := readVariable(root, name)
	if isNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	on, err := v.Flag()
	if err != nil {
		return nil, fmt.Errorf("reading the firmware's %s: %w", name, err)
	}
	return &on, nil
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
