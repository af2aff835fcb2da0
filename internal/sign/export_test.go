package sign

import "os"

// InUse asks a system that says what it uses in those folders and that file.
func InUse(f *os.File, block, devices, mounts string) error {
	return system{block: block, devices: devices, mounts: mounts}.inUse(f)
}
