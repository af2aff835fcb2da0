// Package secureboot makes and reads what ties a machine to its owner's keys: the
// set of PK, KEK and db with the signed updates that enrol it (UEFI 2.10, section
// 32), updates of dbx that revoke certificates and programs, deny lists of
// extensions, and the signatures of EFI programs. It puts together the formats
// [inlay/internal/efi], [inlay/internal/cms] and [inlay/internal/pe] with the pairs
// of [inlay/internal/keys].
//
// What firmware would do is told as the specification has it, and with it what
// firmware is known to do otherwise. Left out on purpose: dbt and dbr, which need
// time stamps and a recovery loader; shim's MOK lists; and the certificates of
// vendors, which whoever wants them brings.
package secureboot
