package registry_test

import (
	"net"
	"testing"

	"inlay/test/registry"
)

// TestStart promises that a registry is gone when its test has ended.
func TestStart(t *testing.T) {
	t.Parallel()
	var host string
	t.Run("running", func(t *testing.T) { host = registry.Start(t) })
	if host == "" {
		return // skipped
	}
	if c, err := new(net.Dialer).DialContext(t.Context(), "tcp", host); err == nil {
		c.Close()
		t.Error("it still answers")
	}
}
