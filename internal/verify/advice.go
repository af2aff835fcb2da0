package verify

import (
	"errors"
	"io/fs"
	"syscall"
)

// advice is what there is to do about a refusal whose finder had no better
// advice to give.
func advice(name Name, result Result, err error) string {
	switch {
	case result == Missing:
		return "check the spelling of the path"
	case errors.Is(err, fs.ErrPermission):
		return "check who may read it: ls -ld"
	case errors.Is(err, syscall.ENOTDIR):
		return "check the path: part of it is a file"
	case result == Unreadable:
		return "check the path and the disk, or fetch the image again"
	}
	switch name {
	case CheckSuperblock:
		return "fetch it again, as it may have been changed; or build it with a hash tree of SHA-256 over blocks of 4096 bytes" +
			" (systemd-repart: without --sector-size, or with 4096)"
	case CheckSignature:
		return "fetch the image again; if it stays so, have it signed again"
	case CheckPolicy:
		return "build an image that the policy lets in, or ask for another --policy"
	case CheckRelease, CheckArchitecture:
		return "build the image again: its file system or its release file is of no use"
	case CheckOwnTrust:
		return "build it without that"
	case CheckHost:
		return "get an image for this host"
	default:
		return "fetch or build the image again: it has been changed or cut short"
	}
}
