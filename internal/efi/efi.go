// Package efi reads and writes what UEFI firmware keeps its Secure Boot keys
// in: signature lists (UEFI 2.10, section 32.4.1), variables as Linux's efivarfs
// shows them, and updates of authenticated variables (section 8.2.2), the .auth
// files of efitools and sbsigntool. It reads flags and strings of variables, too.
//
// It tells what the bytes say, not what they are worth: certificates stay DER,
// an update's signature is not checked, and whether firmware was in setup mode
// when a variable was written is for the caller to ask.
//
// Left out on purpose: the variable store inside a firmware image, which only
// tools for machines open; EFI_VARIABLE_AUTHENTICATION with its counter, which
// UEFI has withdrawn, and EFI_VARIABLE_AUTHENTICATION_3, which no tool writes;
// SM3, which this house computes nowhere.
package efi

import (
	"fmt"

	"inlay/internal/guid"
)

// MaxSize bounds each input, in bytes: a variable, a file of signature lists, an
// update. Firmware keeps all its variables in 64 KiB to 512 KiB and accepts one
// of at most some 10 KiB to 64 KiB; the largest revocation lists take about
// 24 KiB. Whoever reads a file for this package need not read more than one byte
// beyond it.
const MaxSize = 1 << 20

// checkSize refuses more than MaxSize bytes.
func checkSize(b []byte) error {
	if len(b) > MaxSize {
		return fmt.Errorf("%d bytes are too many: at most %d are accepted", len(b), MaxSize)
	}
	return nil
}

// GlobalVariable returns the vendor of PK, KEK, SecureBoot and SetupMode.
func GlobalVariable() guid.GUID { return known("8be4df61-93ca-11d2-aa0d-00e098032b8c") }

// ImageSecurity returns the vendor of db, dbx, dbt and dbr.
func ImageSecurity() guid.GUID { return known("d719b2cb-3d3a-4596-a3bc-dad00e67656f") }

// VendorOf returns the vendor of the variables that signed updates write: PK, KEK,
// db, dbx, dbt and dbr. Of other names it says false.
func VendorOf(name string) (guid.GUID, bool) {
	switch name {
	case "PK", "KEK":
		return GlobalVariable(), true
	case "db", "dbx", "dbt", "dbr":
		return ImageSecurity(), true
	}
	return guid.GUID{}, false
}

// FileName returns the name of a variable's file in efivarfs.
func FileName(name string, vendor guid.GUID) string { return name + "-" + vendor.String() }

// known reads a GUID of this package; the tests read them all.
func known(text string) guid.GUID {
	g, err := guid.Parse(text)
	if err != nil {
		return guid.GUID{}
	}
	return g
}

// onDisk reads the mixed-endian form, of at least 16 bytes.
func onDisk(b []byte) guid.GUID { return guid.GUID(b[:16]).Swapped() }
