package device

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// maxSignature is the largest payload in bytes of a key of the type "user".
const maxSignature = 32767

// withKey calls f while the thread's keyring, which nobody else can search, has
// a key with the payload: the kernel looks keys up for the thread that asks.
func withKey(description string, payload []byte, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	id, err := unix.AddKey("user", description, payload, unix.KEY_SPEC_THREAD_KEYRING)
	if err != nil {
		return fmt.Errorf("handing the signature to the kernel: %w", err)
	}
	// Failing that, it goes with the thread.
	defer unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_THREAD_KEYRING, 0, 0) //nolint:errcheck // it holds no secret
	return f()
}
