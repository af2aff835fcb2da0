package keys_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"inlay/internal/cms"
	"inlay/internal/keys"
)

// The programs here are this test binary itself, which takes its role from the
// environment; so these tests cannot run beside each other.

func TestExecRealProgram(t *testing.T) {
	t.Setenv(roleVariable, "good")
	t.Setenv(roleVariable+"_KEY", block("PRIVATE KEY", pkcs8(t, p256())))
	pair, err := keys.Exec(t.Context(), self(t), write(t, block("CERTIFICATE", certificate(t, p256()))))
	if err != nil {
		t.Fatal(err)
	}
	der, err := cms.Sign([]byte("content"), pair.Certificate, pair.Signer)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Verify([]byte("content"), pair.Certificate); err != nil {
		t.Error(err)
	}
}

func TestExecFailingPrograms(t *testing.T) {
	for role, want := range map[string]string{
		"refuses": "exit status 7: opening slot 0;  [31mPIN is locked [0m",
		"silent":  "exit status 3",
		"floods":  "more than 16 KiB",
	} {
		t.Run(role, func(t *testing.T) {
			t.Setenv(roleVariable, role)
			err := sign(t, t.Context())
			want = strings.ReplaceAll(want, ";  ", "; ")
			checkError(t, err, want, "")
			if err != nil && strings.ContainsAny(err.Error(), "\x1b\r\n") {
				t.Errorf("error %q would reach the terminal's controls", err)
			}
		})
	}
}

func TestExecCancelled(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	t.Setenv(roleVariable, "hangs")
	t.Setenv(roleVariable+"_STARTED", started)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for _, err := os.Stat(started); err != nil; _, err = os.Stat(started) {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	begin := time.Now()
	if err := sign(t, ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if _, err := os.Stat(started + ".ended"); err != nil {
		t.Errorf("the program had no chance to clean up: %v", err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("ending the program took %v", took)
	}
}

func TestExecMissingProgram(t *testing.T) {
	t.Parallel()
	cert := write(t, block("CERTIFICATE", certificate(t, p256())))
	for program, want := range map[string]string{
		"":                      "has no program",
		"/nonexistent/signer":   `looking for signer "/nonexistent/signer": no such file`,
		"inlay-no-such-program": "executable file not found",
		cert:                    "permission denied",
	} {
		_, err := keys.Exec(t.Context(), program, cert)
		checkError(t, err, want, "")
	}
	_, err := keys.Exec(t.Context(), self(t), filepath.Join(t.TempDir(), "missing"))
	checkError(t, err, "reading certificate", "")
}

// sign asks this binary for a signature.
func sign(t *testing.T, ctx context.Context) error { //nolint:revive // t comes first in helpers
	t.Helper()
	pair, err := keys.Exec(ctx, self(t), write(t, block("CERTIFICATE", certificate(t, p256()))))
	if err != nil {
		t.Fatal(err)
	}
	_, err = pair.Signer.Sign(nil, make([]byte, 32), crypto.SHA256)
	return err
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func parseKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%T cannot sign", key)
	}
	return signer, nil
}
