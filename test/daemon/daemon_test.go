package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/daemon"
)

// TestStart promises that two daemons live side by side and that nothing of
// them is left when their test has ended.
func TestStart(t *testing.T) {
	t.Parallel()
	var hosts []string
	t.Run("running", func(t *testing.T) {
		hosts = append(hosts, daemon.Start(t), daemon.Start(t))
		for _, host := range hosts {
			if _, err := os.Stat(strings.TrimPrefix(host, "unix://")); err != nil {
				t.Error(err)
			}
		}
	})
	for _, host := range hosts {
		if _, err := os.Stat(filepath.Dir(strings.TrimPrefix(host, "unix://"))); !os.IsNotExist(err) {
			t.Errorf("the daemon's folder is still there: %v", err)
		}
	}
}
