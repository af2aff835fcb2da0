package verify_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"inlay/internal/keys"
	"inlay/internal/trust"
	"inlay/internal/verify"
	"inlay/test/hostile"
	"inlay/test/sample"
)

// trusting returns anchors that hold these certificates and no other.
func trusting(t testing.TB, pairs ...*keys.Pair) *trust.Set {
	t.Helper()
	var o trust.Options
	for _, p := range pairs {
		o.Given = append(o.Given, trust.Given{Origin: p.Certificate.Subject.CommonName + ".crt", PEM: sample.PEM(p.Certificate)})
	}
	set, err := trust.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Problems) > 0 {
		t.Fatalf("problems: %v", set.Problems)
	}
	return set
}

func policy(t testing.TB, text string) trust.Policy {
	t.Helper()
	p, err := trust.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// noise is content that no two images share; two MiB of it take four leaves of
// the hash tree.
func noise(seed uint64) map[string]string {
	r := rand.New(rand.NewPCG(seed, seed))
	b := make([]byte, 2<<20)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return map[string]string{"usr/share/noise": string(b)}
}

// run gives the verdict on the image b under the name of a sample.
func run(t testing.TB, b []byte, o verify.Options) *verify.Verdict {
	t.Helper()
	v, err := verify.Run(t.Context(), &verify.Subject{Path: "hello.sysext.raw", Image: bytes.NewReader(b), Size: int64(len(b))}, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// read returns the content of a file.
func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// explain prints the verdict where a test found it wrong.
func explain(v *verify.Verdict) string {
	var text strings.Builder
	text.WriteString(string(v.Result))
	if v.Refusal != nil {
		text.WriteString(" by " + string(v.Refusal.Check) + ": " + v.Refusal.Reason)
	}
	for _, c := range v.Checks {
		text.WriteString("\n  " + string(c.Check) + " " + string(c.State) + " " + c.Found)
	}
	return text.String()
}

// TestHostile spoils an image in every way that is known, under every policy:
// what is wrong whoever signed is refused even where nothing is asked for.
func TestHostile(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]func() crypto.Signer{
		"RSA":   func() crypto.Signer { return sample.RSA(t, 2048) },
		"ECDSA": func() crypto.Signer { return sample.ECDSA(t, elliptic.P384()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := sample.Pair(t, sample.Certificate{Name: "good", Key: key()})
			set := hostile.Set{
				Image: hostile.Open(t, read(t, sample.Make(t, sample.Image{Signer: pair, Files: noise(1)}))),
				Other: hostile.Open(t, read(t, sample.Make(t, sample.Image{Signer: pair, Files: noise(2)}))),
				Pair:  pair,
			}
			anchors := trusting(t, pair)
			for _, c := range hostile.Cases() {
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					b := c.Spoil(t, set)
					v := run(t, b, verify.Options{Anchors: anchors, Now: time.Now()})
					if c.Check == "" {
						if !v.Trusted() || v.Protection != verify.Signed {
							t.Fatalf("want good and signed, have %s", explain(v))
						}
						return
					}
					if v.Result != verify.Refused || v.Refusal.Check != c.Check || !strings.Contains(v.Refusal.Reason, c.Reason) {
						t.Fatalf("want it refused by %s with %q, have %s", c.Check, c.Reason, explain(v))
					}
					if v.Protection != verify.Unprotected {
						t.Errorf("a refused image has the protection %q", v.Protection)
					}
					open := run(t, b, verify.Options{Anchors: anchors, Policy: policy(t, "any")})
					unsigned := c.Reason == "not signed" || c.Reason == "not signed yet"
					if open.Trusted() != unsigned {
						t.Errorf("under the policy any: %s", explain(open))
					}
				})
			}
		})
	}
}
