//go:build crash

package store

import (
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// calls counts the changes that this process has made to the disk.
var calls atomic.Int64 //nolint:gochecknoglobals // a process dies once, however many stores it opened

// killer kills this process before the change to the disk that the variable
// INLAY_CRASH_AT numbers, from 1. It is for tests of what remains then.
func killer() func(call, name string) error {
	at, err := strconv.ParseInt(os.Getenv("INLAY_CRASH_AT"), 10, 64)
	if err != nil || at < 1 {
		return nil
	}
	return func(string, string) error {
		if calls.Add(1) == at {
			if err := unix.Kill(os.Getpid(), unix.SIGKILL); err != nil {
				return err
			}
			select {} // the signal is on its way
		}
		return nil
	}
}
