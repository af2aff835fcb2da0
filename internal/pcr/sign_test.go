package pcr_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/hint"
	"inlay/internal/pcr"
)

// The values are what systemd-measure 257.13 says of the same contents, in files,
// with calculate --phase=: --phase=enter-initrd:leave-initrd.
func TestMeasure(t *testing.T) {
	t.Parallel()
	sections := hash(t, map[string]string{
		".linux": "kernel", ".cmdline": "quiet", ".osrel": "ID=test\n", ".uname": "6.12",
		".pcrsig": "not measured", ".text": "not either", ".initrd": "",
	})
	for bank, want := range map[pcr.Bank][2]string{
		pcr.SHA1:   {"3644cd1a03d38925af319facb175ab0c02e94302", "7a3dd76d577070e359e27f2c7dec7ccf9f54a8a2"},
		pcr.SHA256: {"8b16e69de9dee822ae864352da69941e4167fd11e15e2218c893348e6f39830a", "f96b45875d54057977ccd7a7133fa03831a1760a574a7699af10f11a2ada64a1"},
		pcr.SHA384: {"bbc7695cf3ff7e1de53c81e5a46737f6915db44003aaa9b57c0e571ecacc4d0ad5654031cf945e9914b4b166a1163777", "ea3c577a5302976b61710ac8583efb79f8a8251ec8180acd3cf88ce80bbb269b1951a2ea455aa35d3fa27f4f81a478b6"},
		pcr.SHA512: {"3626f1524a5227401a378f07b85f65b2f0d062ff7ba189bec229bb89c48b21bdb394313ec898e71281fd254003f6c5386367c72c376b1d27bb752cafea4c4cdd", "0c3662855e1987cabd09f32d33d15027cdea710aed595fed69c2d94b83dd057647c1745070459465132b8d455b307c232bfca45a2a7ec8b1c65e3bb6ddbb2730"},
	} {
		value, err := bank.Measure(sections)
		if err != nil {
			t.Fatal(err)
		}
		got := [2]string{hex.EncodeToString(bank.Enter(value, ":")), hex.EncodeToString(bank.Enter(value, "enter-initrd:leave-initrd"))}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", bank, diff)
		}
	}
}

func TestMeasureRefuses(t *testing.T) {
	t.Parallel()
	one, err := pcr.Hash(".linux", strings.NewReader("x"), pcr.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	board, err := pcr.Hash(".dtbauto", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		bank    pcr.Bank
		section pcr.Section
		want    string
	}{
		"strange bank": {"sm3", one, `bank "sm3" is not known`},
		"not hashed":   {pcr.SHA256, one, "not hashed with sha256"},
		"by the board": {pcr.SHA256, board, "depends on the board"},
	} {
		if _, err := c.bank.Measure([]pcr.Section{c.section}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	if _, err := pcr.Hash(".linux", strings.NewReader("x"), "md5"); err == nil {
		t.Error("a strange bank was hashed")
	}
	broken := errors.New("broken")
	if _, err := pcr.Hash(".linux", io.MultiReader(strings.NewReader("x"), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestHashLarge: many chunks hash as one text does.
func TestHashLarge(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("0123456789"), 100_000)
	s, err := pcr.Hash(".initrd", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	h := crypto.SHA512.New()
	h.Write(text)
	if s.Size != int64(len(text)) || !bytes.Equal(s.Digests[pcr.SHA512], h.Sum(nil)) {
		t.Errorf("%d bytes hash to %x", s.Size, s.Digests[pcr.SHA512])
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	type section struct{ name, content string }
	names := func(s section) string { return s.name }
	base := []section{{".text", ""}, {".linux", "k"}, {".cmdline", "a"}, {".cmdline", "hidden"}}
	for name, c := range map[string]struct {
		sections []section
		want     [][]section
	}{
		"nothing": {nil, [][]section{nil}},
		"none":    {base, [][]section{{{".text", ""}, {".linux", "k"}, {".cmdline", "a"}}}},
		"two": {
			append(slices.Clip(base), section{".profile", "0"}, section{".pcrsig", "0"}, section{".profile", "1"}, section{".cmdline", "b"}),
			[][]section{
				{{".profile", "0"}, {".pcrsig", "0"}, {".text", ""}, {".linux", "k"}, {".cmdline", "a"}},
				{{".profile", "1"}, {".cmdline", "b"}, {".text", ""}, {".linux", "k"}},
			},
		},
	} {
		if diff := cmp.Diff(c.want, pcr.Profiles(c.sections, names), cmp.AllowUnexported(section{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSignaturesRoundTrip(t *testing.T) {
	t.Parallel()
	key, _ := newKey(t)
	sections := hash(t, contents())
	text, err := pcr.Sign(key, sections, pcr.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	signatures, err := pcr.ParseSignatures(append(text, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if len(signatures) != len(pcr.Banks())*len(pcr.Phases()) {
		t.Errorf("%d signatures", len(signatures))
	}
	stranger, _ := newKey(t)
	for i, s := range signatures {
		if err := s.Verify(key.Public()); err != nil {
			t.Error(err)
		}
		if err := s.Verify(stranger.Public()); err == nil {
			t.Error("a stranger's key verifies")
		}
		start, err := s.Bank.Measure(sections)
		if err != nil {
			t.Fatal(err)
		}
		if s.Covers(start) || s.Covers(nil) {
			t.Error("it covers the time before all phases, or no value at all")
		}
		value := s.Bank.Enter(start, pcr.Phases()[i%len(pcr.Phases())])
		if !s.Covers(value) {
			t.Errorf("signature %d does not cover its phase", i)
		}
		for what, change := range map[string]func(s *pcr.Signature){
			"policy":      func(s *pcr.Signature) { s.Policy = s.Bank.Policy(start) },
			"signature":   func(s *pcr.Signature) { s.Signature = bytes.Repeat([]byte{1}, len(s.Signature)) },
			"fingerprint": func(s *pcr.Signature) { s.Fingerprint = make([]byte, 32) },
			"bank":        func(s *pcr.Signature) { s.Bank = "sha224" },
		} {
			spoiled := s
			change(&spoiled)
			if spoiled.Verify(key.Public()) == nil {
				t.Errorf("a spoiled %s verifies", what)
			}
		}
		s.PCRs = []int{11, 12}
		if s.Covers(value) {
			t.Error("a policy for two PCRs covers one")
		}
	}
}

// lying signs something else.
type lying struct{ *rsa.PrivateKey }

func (l lying) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return l.PrivateKey.Sign(random, make([]byte, len(digest)), o)
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	key, _ := newKey(t)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	sections := hash(t, contents())
	for name, c := range map[string]struct {
		key     crypto.Signer
		options pcr.SignOptions
		want    string
		advice  bool
	}{
		"elliptic":    {curve, pcr.SignOptions{}, "cannot sign for a TPM's PCR", true},
		"short":       {short, pcr.SignOptions{}, "1024 bits is too short", true},
		"lying":       {lying{key}, pcr.SignOptions{}, "does not verify", false},
		"bad bank":    {key, pcr.SignOptions{Banks: []pcr.Bank{"SHA256"}}, `"SHA256" is not known`, false},
		"bad phase":   {key, pcr.SignOptions{Phases: []string{"enter initrd"}}, `phase path "enter initrd"`, true},
		"other banks": {key, pcr.SignOptions{Banks: []pcr.Bank{pcr.SHA512}}, "not hashed with sha512", false},
	} {
		in := sections
		if name == "other banks" {
			one, err := pcr.Hash(".linux", strings.NewReader("x"), pcr.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			in = []pcr.Section{one}
		}
		_, err := pcr.Sign(c.key, in, c.options)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
		if c.advice && len(hint.Of(err)) == 0 {
			t.Errorf("%s: error %v has no advice", name, err)
		}
	}
}

func TestParseSignaturesRefuses(t *testing.T) {
	t.Parallel()
	digest := strings.Repeat("0", 64)
	for text, want := range map[string]string{
		"":              "EOF",
		"[]":            "cannot unmarshal",
		"{} x":          "something follows",
		"{}{}":          "something follows",
		`{"sha256":{}}`: "for bank sha256",
		`{"sha256":[{"pcrs":[11],"pkfp":"00","pol":"` + digest + `"}]}`:                          "fingerprint",
		`{"sha256":[{"pcrs":[11],"pkfp":"` + digest + `","pol":"zz"}]}`:                          "policy",
		`{"sha256":[{"pcrs":[11],"pkfp":"` + digest + `","pol":"` + digest + `","sig":"*"}]}`:    "base64",
		`{"sha256":[{"pcrs":[24],"pkfp":"` + digest + `","pol":"` + digest + `","sig":""}]}`:     "not PCRs",
		`{"sha1":[` + strings.Repeat(`{},`, 1024) + `{}]}`:                                       "too many",
		`{"sha1":"` + strings.Repeat("x", 1<<20) + `"}`:                                          "too many",
		`{"sha384":[{"pcrs":[-1],"pkfp":"` + digest + `","pol":"` + digest + `","sig":"AAAA"}]}`: "not PCRs",
	} {
		if _, err := pcr.ParseSignatures([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: error %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"{}", `{"sm3":17}`, "{}\x00\x00"} {
		if signatures, err := pcr.ParseSignatures([]byte(text)); err != nil || len(signatures) > 0 {
			t.Errorf("%q: %v, %v", text, signatures, err)
		}
	}
}

func FuzzParseSignatures(f *testing.F) {
	digest := strings.Repeat("ab", 32)
	f.Add([]byte(`{"sha1":[{"pcrs":[11],"pkfp":"` + digest + `","pol":"` + digest + `","sig":"AAAA"}],"sm3":[]}`))
	f.Add([]byte(`{"sha256":[{"pcrs":[11,12],"pkfp":"` + digest + `","pol":"` + digest + `","sig":"AAAA"},{}]}`))
	f.Add([]byte("{}\n\x00"))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		signatures, err := pcr.ParseSignatures(text)
		if err != nil {
			return
		}
		for _, s := range signatures {
			if s.Bank.Size() == 0 || len(s.Policy) != 32 || len(s.Fingerprint) != 32 {
				t.Fatalf("read %+v", s)
			}
			if s.Verify(key.Public()) == nil {
				t.Fatal("forged")
			}
		}
	})
}
