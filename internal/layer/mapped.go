package layer

import (
	"encoding/hex"
	"errors"
	"io/fs"

	"inlay/internal/device"
)

// Mapped is how the kernel gives out an image.
type Mapped struct {
	// Name is that of the dm-verity device.
	Name string
	// KernelVerified says that the kernel has checked the signature itself; else who
	// has set the device up had to.
	KernelVerified bool
	// Corrupt says that a block was read that is not what the root hash says.
	Corrupt bool
}

// MappedRoots returns the dm-verity devices that give out nothing but what their root
// hash says, by that in hexadecimal digits. It is what there is to be known of a merge
// by systemd's own services, which leave no report. A device that cannot be asked is
// none, and so are all to a user who may not ask.
func MappedRoots() map[string]Mapped {
	devices, _, err := strictDevices()
	if err != nil {
		return nil
	}
	by := map[string]Mapped{}
	for _, d := range devices {
		by[hex.EncodeToString(d.RootHash[:])] = Mapped{Name: d.Name, KernelVerified: d.KernelVerified, Corrupt: d.Corrupted}
	}
	return by
}

// strictDevices returns the dm-verity devices that give out nothing but what their
// root hash says. One that cannot be read is none: unread says why, of the first.
func strictDevices() (devices []*device.Status, unread, err error) {
	all, err := device.List()
	if err != nil {
		return nil, nil, err
	}
	for _, d := range all {
		status, err := device.ActiveAt(d.Number)
		switch {
		case err == nil && status.Strict():
			devices = append(devices, status)
		case err == nil, errors.Is(err, device.ErrNotVerity), errors.Is(err, fs.ErrNotExist):
		case unread == nil:
			unread = err
		}
	}
	return devices, unread, nil
}
