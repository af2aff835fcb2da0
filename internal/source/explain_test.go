package source_test

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"inlay/internal/hint"
	"inlay/internal/source"
)

// TestNoNetwork promises that a machine without a network is told so, and is
// never advised to do without TLS, which would not help.
func TestNoNetwork(t *testing.T) {
	t.Parallel()
	unreachable := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
	noRoute := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}
	lookUp := func(e net.DNSError) error { return &net.OpError{Op: "dial", Net: "tcp", Err: &e} }
	tests := map[string]struct {
		ref       string
		dial      error
		err, hint string
	}{
		"no network, private address": {"10.1.2.3/x", unreachable, "cannot be reached from here", "network"},
		"no route":                    {"registry.test/x", noRoute, "cannot be reached from here", "network"},
		"no name server":              {"registry.test/x", lookUp(net.DNSError{Err: "server misbehaving", IsTemporary: true}), "cannot be looked up", "network"},
		"silent name server":          {"registry.test/x", lookUp(net.DNSError{Err: "i/o timeout", IsTimeout: true}), "cannot be looked up", "network"},
		"unknown host":                {"registry.test/x", lookUp(net.DNSError{Err: "no such host", IsNotFound: true}), "cannot be found", "spelling"},
		"a host that nobody typed":    {"x", lookUp(net.DNSError{Err: "no such host", IsNotFound: true}), "cannot be found", "name without a host"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, "oci:"+tt.ref, source.Options{}.Impatient(time.Second, 2).Failing(tt.dial))
			wantError(t, err, tt.err, tt.hint)
			if advice := strings.Join(hint.Of(err), "; "); strings.Contains(advice, "insecure") {
				t.Errorf("the hints %q advise against TLS", advice)
			}
		})
	}
}
