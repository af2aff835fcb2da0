package trust_test

import (
	"strings"
	"testing"

	"inlay/internal/hint"
	"inlay/internal/trust"
)

func mustPolicy(t testing.TB, text string) trust.Policy {
	t.Helper()
	p, err := trust.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicyZeroIsSigned(t *testing.T) {
	t.Parallel()
	var zero trust.Policy
	if zero != mustPolicy(t, "signed") || zero.String() != "signed" || !zero.NeedsSignature() {
		t.Errorf("the zero policy is %q, needs a signature: %v", zero, zero.NeedsSignature())
	}
	if got, want := zero.Systemd(), "root=signed+absent:usr=signed+absent"; got != want {
		t.Errorf("in systemd's language %q, want %q", got, want)
	}
	if err := zero.Check(trust.Found{}); err == nil {
		t.Error("nothing at all passes")
	}
}

// The images that the tables below use.
func signedImage() trust.Found {
	return trust.Found{Designator: "root", Verity: true, Signed: true, Signature: true, FileSystem: "erofs", ReadOnly: true}
}

func foreignImage() trust.Found { // signed by nobody that we trust
	f := signedImage()
	f.Signed = false
	return f
}

func verityImage() trust.Found {
	f := foreignImage()
	f.Signature = false
	return f
}

func bareImage() trust.Found {
	f := verityImage()
	f.Verity = false
	return f
}

func nakedImage() trust.Found {
	return trust.Found{Designator: "root", Naked: true, FileSystem: "squashfs"}
}

func nakedVerityImage() trust.Found { // its hash tree lies beside it
	f := nakedImage()
	f.Verity = true
	f.ReadOnly, f.GrowFS = true, true // nowhere to stand, so not looked at
	return f
}

func usrImage() trust.Found {
	f := signedImage()
	f.Designator = "usr"
	return f
}

// TestPolicyCheck says for each policy which of seven images pass: signed (s), with
// a signature that isn't trusted (f), with a hash tree alone (v), with none of
// these (b), naked (n), naked with a hash tree beside it (w), and signed with its
// data in usr (u).
func TestPolicyCheck(t *testing.T) {
	t.Parallel()
	images := []struct {
		letter string
		found  trust.Found
	}{{"s", signedImage()}, {"f", foreignImage()}, {"v", verityImage()}, {"b", bareImage()}, {"n", nakedImage()}, {"w", nakedVerityImage()}, {"u", usrImage()}}
	cases := map[string]struct {
		pass  string
		needs bool
	}{
		"signed": {"su", true},
		"verity": {"sfvwu", false},
		"any":    {"sfvbnwu", false},
		"*":      {"sfvbnwu", false},
		"-":      {"", true},
		"~":      {"", true},

		"root=signed":                                          {"s", true},
		"root=signed+absent":                                   {"s", true},
		"root=signed+absent:usr=signed+absent":                 {"su", true},
		"usr=signed+absent":                                    {"u", true},
		"root=verity":                                          {"sfvw", false},
		"root=verity+signed":                                   {"sfw", false}, // the signature must be there
		"root=verity+signed+absent":                            {"sfvw", false},
		"root=unprotected":                                     {"sfvbn", false},
		"root=signed+unprotected+absent":                       {"sbn", false},
		"root=signed+unprotected":                              {"sn", false}, // without a table nothing can be missing from it
		"root=verity+unprotected":                              {"sfvnw", false},
		"root=encrypted":                                       {"", true},
		"root=encryptedwithintegrity+absent":                   {"", true},
		"root=unused":                                          {"", true},
		"root=unused+signed":                                   {"s", true},
		"root=absent":                                          {"", true},
		"root=":                                                {"sfvbnw", false}, // systemd: no word is every word
		"root=-":                                               {"sfvbnw", false},
		"=":                                                    {"sfvbnwu", false},
		"=signed":                                              {"", true}, // hash trees and signatures can't be signed
		"=verity":                                              {"w", false},
		"=signed+unprotected+absent":                           {"sbnu", false},
		"=absent:root=signed":                                  {"s", true},
		"=unprotected+absent":                                  {"bn", false},
		"root=signed:=absent":                                  {"s", true},
		"root=verity:=absent":                                  {"vw", false}, // a signature must not be there
		"root=verity:root-verity-sig=absent":                   {"vw", false},
		"root=verity:root-verity=absent":                       {"w", false},
		"root=verity:root-verity=unused+absent":                {"w", false},
		"root=verity:root-verity-sig=unused":                   {"sfw", false},
		"root=signed:root-verity-sig=ignore":                   {"", true},
		"root=signed:home=unprotected":                         {"", true},
		"root=signed:home=unprotected+absent":                  {"s", true},
		"root=signed:usr=unprotected":                          {"", true}, // nobody has both
		"root=signed:usr=verity+absent":                        {"s", true},
		"root=signed+read-only-on":                             {"s", true},
		"root=signed+read-only-off":                            {"", true},
		"root=signed+read-only-on+read-only-off":               {"s", true},
		"root=signed+growfs-on":                                {"", true},
		"root=signed+growfs-off":                               {"s", true},
		"root=unprotected+read-only-on":                        {"sfvb", false},
		"root=unprotected+read-only-off":                       {"n", false},
		"root=signed:root-verity=unprotected+read-only-off":    {"", true},
		"root=signed:root-verity-sig=unprotected+read-only-on": {"s", true},
		"root=open+read-only-off+growfs-off":                   {"nw", false},
		"root=unprotected:root-verity-sig=open":                {"vbn", false}, // a signature of nothing
		"root=erofs":                                           {"sfvb", false},
		"root=signed+erofs":                                    {"s", true},
		"root=signed+squashfs+ext4":                            {"", true},
		"root=open+squashfs":                                   {"nw", false},
		"root=open:home=open+btrfs":                            {"sfvbnw", false},
		"=open+erofs":                                          {"sfvbu", false},
	}
	for text, c := range cases {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			p := mustPolicy(t, text)
			var passed strings.Builder
			for _, image := range images {
				err := p.Check(image.found)
				if err == nil {
					passed.WriteString(image.letter)
				} else if !strings.HasPrefix(err.Error(), "the policy "+p.String()+": ") {
					t.Errorf("the error doesn't name the policy: %v", err)
				}
			}
			if passed.String() != c.pass {
				t.Errorf("passed %q, want %q", passed.String(), c.pass)
			}
			if got := p.NeedsSignature(); got != c.needs {
				t.Errorf("needs a signature: %v, want %v", got, c.needs)
			}
		})
	}
}

func TestPolicySaysWhy(t *testing.T) {
	t.Parallel()
	unknown := signedImage()
	unknown.FileSystem = ""
	odd := signedImage()
	odd.Designator = "home"
	hollow := bareImage()
	hollow.Signed = true
	cases := map[string]struct {
		policy string
		found  trust.Found
		want   string
	}{
		"unsigned":            {"signed", verityImage(), "the partition root: it wants a hash tree with a signature by a trusted key, and it has a hash tree without a trusted signature"},
		"naked":               {"signed", nakedImage(), "wants a hash tree with a signature by a trusted key, and nothing protects it"},
		"nothing":             {"verity", bareImage(), "wants a hash tree or a hash tree with a signature by a trusted key, and nothing protects it"},
		"hollow":              {"signed", hollow, "nothing protects it"},
		"encrypted":           {"root=encrypted", signedImage(), "encryption, which extensions don't have"},
		"not used":            {"-", signedImage(), "the partition root: it may not be used"},
		"absent":              {"~", signedImage(), "the partition root must not be there, and it is"},
		"more wanted":         {"root=signed:home=verity+unprotected", signedImage(), "a partition home must be there (unprotected), and it is not"},
		"file system":         {"root=open+ext4+xfs", signedImage(), "it wants the file system ext4 or xfs, and it is erofs"},
		"unknown file system": {"root=open+ext4", unknown, "and it is unknown"},
		"flag":                {"root=open+read-only-off", signedImage(), "the flag read-only must be off, and it is on"},
		"designator":          {"any", odd, `the data is neither root nor usr but "home"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := mustPolicy(t, c.policy).Check(c.found)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestParsePolicyRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ text, want, hint string }{
		"empty":               {"", "an empty policy", "signed, verity or any"},
		"a word not ours":     {"Signed", "no equals sign", "signed, verity or any"},
		"rubbish":             {"pfft", `"pfft" has no equals sign`, ""},
		"colon":               {":", "an empty rule", "one colon"},
		"colon at the end":    {"root=signed:", "an empty rule", "one colon"},
		"blank":               {" ", "an empty rule", ""},
		"unknown partition":   {"boot=signed", `no partition is called "boot"`, "root-verity-sig"},
		"case counts":         {"Root=signed", `no partition is called "Root"`, ""},
		"unknown flag":        {"root=trusted", `no flag is called "trusted"`, "unprotected"},
		"empty flag":          {"root=signed+", `no flag is called ""`, ""},
		"dash among flags":    {"root=signed+-", `no flag is called "-"`, ""},
		"two equals signs":    {"root=signed=x", `no flag is called "signed=x"`, ""},
		"twice":               {"root=signed:root=open", "two rules for the partition root", ""},
		"two defaults":        {"=signed:=open", "two rules for the partitions that have none", ""},
		"star as flag":        {"root=*", `no flag is called "*"`, ""},
		"backslash":           {`root=sig\ned`, "no flag is called", ""},
		"quotes":              {`root="signed"`, "no flag is called", ""},
		"another white space": {"root=\u00a0signed", "no flag is called", ""},
		"NUL":                 {"root=signed\x00", "no flag is called", ""},
		"endless":             {"root=" + strings.Repeat("signed+", 1000) + "signed", "over the limit", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := trust.ParsePolicy(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
			if advice := strings.Join(hint.Of(err), " "); !strings.Contains(advice, c.hint) {
				t.Errorf("the hint is %q, want %q in it", advice, c.hint)
			}
			if p != (trust.Policy{}) {
				t.Errorf("with the error comes the policy %q", p)
			}
		})
	}
}
