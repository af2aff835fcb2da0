package debian_test

import (
	"testing"
	"time"

	"inlay/test/debian"
)

// TestLockOne takes all locks of a name: who comes then waits for the first that is
// given back.
func TestLockOne(t *testing.T) {
	t.Setenv(debian.CacheVariable, t.TempDir())
	take := func() func() {
		unlock, err := debian.LockOne("some", 2)
		if err != nil {
			t.Fatal(err)
		}
		return unlock
	}
	first, second := take(), take()
	taken := make(chan func())
	go func() {
		unlock, err := debian.LockOne("some", 2)
		if err != nil {
			t.Error(err)
		}
		taken <- unlock
	}()
	select {
	case <-taken:
		t.Fatal("a third one was taken of two")
	case <-time.After(300 * time.Millisecond):
	}
	second()
	(<-taken)()
	first()
}
