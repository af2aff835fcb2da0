package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestStageMakesNothing gives up an image on its way: a machine without a store
// still has none, and another tool's has nothing of ours.
func TestStageMakesNothing(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"nothing": t.TempDir(), "a store of kairos-agent": agentStore(t)} {
		old := snapshot(t, dir)
		s := open(t, dir, nil)
		for _, size := range []int64{-1, 5} {
			st, err := s.Stage(size)
			check(t, err)
			_, err = st.Write([]byte("image"))
			check(t, err)
			st.Discard()
		}
		equal(t, name, old, snapshot(t, dir))
		if _, err := os.Lstat(filepath.Join(dir, storeAt, ".inlay")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the store's own folder is there: %v", name, err)
		}
		st, err := s.Stage(-1)
		check(t, err)
		_, err = st.Write([]byte("image"))
		check(t, err)
		unlock := lock(t, s)
		check(t, st.Commit("a.sysext.raw", recordFor("image")))
		unlock()
		fsck(t, dir)
		if got := snapshot(t, dir); got[storeAt+"/a.sysext.raw"] != "image" || got["record of a.sysext.raw"] == "" {
			t.Errorf("%s: %v", name, got)
		}
	}
}
