package keys_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/cms"
	"inlay/internal/keys"
)

// inProcess is a signer program that is a function.
type inProcess func(ctx context.Context, program string, input []byte) ([]byte, error)

func (f inProcess) Run(ctx context.Context, program string, input []byte) ([]byte, error) {
	return f(ctx, program, input)
}

// answer does what a good signer program does, with one of our keys.
func answer(key crypto.Signer, input []byte) ([]byte, error) {
	var request struct {
		Version     int
		Digest      []byte
		Hash        string
		Scheme      string
		Certificate string
	}
	if err := json.Unmarshal(input, &request); err != nil {
		return nil, err
	}
	return key.Sign(nil, request.Digest, crypto.SHA256)
}

func TestExecRequest(t *testing.T) {
	t.Parallel()
	for scheme, key := range map[string]crypto.Signer{"rsa-pkcs1v15": rsa2048(), "ecdsa": p384()} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			cert := block("CERTIFICATE", certificate(t, key))
			digest := sha256.Sum256([]byte("content"))
			var got map[string]any
			runner := inProcess(func(_ context.Context, program string, input []byte) ([]byte, error) {
				if program != "/opt/signer" {
					t.Errorf("program %q", program)
				}
				if bytes.Count(input, []byte("\n")) != 1 || !bytes.HasSuffix(input, []byte("}\n")) {
					t.Errorf("input %q is not one line", input)
				}
				if err := json.Unmarshal(input, &got); err != nil {
					return nil, err
				}
				return answer(key, input)
			})
			pair, err := keys.ExecWith(t.Context(), runner, "/opt/signer", write(t, cert))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := pair.Signer.Sign(nil, digest[:], crypto.SHA256); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{
				"version":     1.0,
				"digest":      base64.StdEncoding.EncodeToString(digest[:]),
				"hash":        "sha256",
				"scheme":      scheme,
				"certificate": cert,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExecAnswers(t *testing.T) {
	t.Parallel()
	base := func(signature []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(signature)) }
	broken := func(signature []byte) []byte {
		var lines strings.Builder
		for i, c := range base(signature) {
			if i > 0 && i%64 == 0 {
				lines.WriteString("\n")
			}
			lines.WriteString(string(c))
		}
		return []byte(lines.String() + "\r\n")
	}
	tests := map[string]struct {
		change func(signature []byte) []byte
		want   string
	}{
		"raw":              {func(s []byte) []byte { return s }, ""},
		"base64":           {base, ""},
		"base64, newline":  {func(s []byte) []byte { return append(base(s), '\n') }, ""},
		"base64, in lines": {broken, ""},
		"nothing":          {func([]byte) []byte { return nil }, "wrote nothing"},
		"one bit wrong":    {func(s []byte) []byte { s[len(s)-1] ^= 1; return s }, "no signature of the digest"},
		"chatter":          {func([]byte) []byte { return []byte("Please touch your token\n") }, "no signature of the digest"},
		"hexadecimal":      {func(s []byte) []byte { return fmt.Appendf(nil, "%x", s) }, "no signature of the digest"},
	}
	for _, key := range []crypto.Signer{rsa2048(), p256()} {
		for name, test := range tests {
			t.Run(fmt.Sprintf("%T %s", key, name), func(t *testing.T) {
				t.Parallel()
				der := certificate(t, key)
				runner := inProcess(func(_ context.Context, _ string, input []byte) ([]byte, error) {
					signature, err := answer(key, input)
					return test.change(signature), err
				})
				pair, err := keys.ExecWith(t.Context(), runner, "signer", write(t, block("CERTIFICATE", der)))
				if err != nil {
					t.Fatal(err)
				}
				_, err = cms.Sign([]byte("content"), pair.Certificate, pair.Signer)
				checkError(t, err, test.want, "")
			})
		}
	}
}

func TestExecRefusesOtherDigests(t *testing.T) {
	t.Parallel()
	runner := inProcess(func(context.Context, string, []byte) ([]byte, error) {
		t.Error("the program was asked")
		return nil, nil
	})
	pair, err := keys.ExecWith(t.Context(), runner, "signer", write(t, block("CERTIFICATE", certificate(t, rsa2048()))))
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]struct {
		length int
		opts   crypto.SignerOpts
	}{
		"SHA-384":      {48, crypto.SHA384},
		"SHA-1":        {20, crypto.SHA1},
		"wrong length": {20, crypto.SHA256},
		"PSS":          {32, &rsa.PSSOptions{Hash: crypto.SHA256}},
	} {
		_, err := pair.Signer.Sign(nil, make([]byte, call.length), call.opts)
		if err == nil || !strings.Contains(err.Error(), "SHA-256 digests only") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// roleVariable makes the test binary a signer program.
const roleVariable = "INLAY_TEST_SIGNER"

// playSigner is the whole program. The key comes through the environment.
func playSigner(ctx context.Context, role string) int {
	switch role {
	case "good":
		input, err := io.ReadAll(os.Stdin)
		if err != nil || len(os.Args) != 1 {
			return 1
		}
		b, _ := pem.Decode([]byte(os.Getenv(roleVariable + "_KEY")))
		pair, err := parseKey(b.Bytes)
		if err != nil {
			return 1
		}
		signature, err := answer(pair, input)
		if err != nil {
			return 1
		}
		_, _ = os.Stdout.Write(signature)
		return 0
	case "refuses":
		fmt.Fprintf(os.Stderr, "opening slot 0\n\x1b[31mPIN is locked\x1b[0m\r\n")
		return 7
	case "silent":
		return 3
	case "floods":
		for ctx.Err() == nil {
			if _, err := os.Stdout.Write(make([]byte, 4096)); err != nil {
				return 1
			}
		}
		return 0
	case "hangs":
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		started := os.Getenv(roleVariable + "_STARTED")
		_ = os.WriteFile(started, nil, 0o600)
		select {
		case <-asked:
			_ = os.WriteFile(started+".ended", nil, 0o600)
		case <-time.After(time.Minute):
		}
	}
	return 0
}
