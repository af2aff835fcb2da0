package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/config"
	"inlay/internal/hint"
	"inlay/internal/trust"
)

// pemText looks like a certificate from outside, which is all that counts here.
const pemText = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+by) + "\n"
}

func fullText() string {
	return `# all there is
trust:
  certificates:
    - /etc/keys/acme.pem
    - |
` + indent(pemText, "      ") + `  folders:
    - /srv/trust
  firmware: true
  vendor_cas: false
  chains: true
  fingerprints:
    - 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF
    - ` + strings.Repeat("12345678", 8) + `
  deny_lists:
    - /srv/deny/2026.deny
policy: root=signed+absent
`
}

func fullConfig(name string) *config.Config {
	yes, no := true, false
	return &config.Config{
		Trust: config.Trust{
			Certificates: []config.Certificate{
				{File: "/etc/keys/acme.pem", Origin: "configuration " + name + ":4"},
				{PEM: []byte(pemText), Origin: "configuration " + name + ":5"},
			},
			Folders: []string{"/srv/trust"}, Firmware: &yes, VendorCAs: &no, Chains: &yes,
			Fingerprints: []string{
				"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF",
				strings.Repeat("12345678", 8),
			},
			DenyLists: []string{"/srv/deny/2026.deny"},
		},
		Policy:  policy("root=signed+absent"),
		Sources: []string{name},
	}
}

func policy(text string) *trust.Policy {
	p, err := trust.ParsePolicy(text)
	if err != nil {
		panic(err)
	}
	return &p
}

func samePolicy() cmp.Option {
	return cmp.Comparer(func(a, b trust.Policy) bool { return a == b })
}

func TestParse(t *testing.T) {
	t.Parallel()
	yes := true
	cases := map[string]struct {
		text string
		want *config.Config
	}{
		"everything":            {fullText(), fullConfig("f")},
		"everything, from DOS":  {strings.ReplaceAll(fullText(), "\n", "\r\n"), fullConfig("f")},
		"nothing":               {"", &config.Config{Sources: []string{"f"}}},
		"comments":              {"# nothing\n\n# yet\n", &config.Config{Sources: []string{"f"}}},
		"a document mark":       {"---\npolicy: any\n", &config.Config{Policy: policy("any"), Sources: []string{"f"}}},
		"an end mark":           {"policy: any\n...\n", &config.Config{Policy: policy("any"), Sources: []string{"f"}}},
		"no newline":            {"policy: any", &config.Config{Policy: policy("any"), Sources: []string{"f"}}},
		"empty trust":           {"trust:\n  # firmware: true\npolicy: signed\n", &config.Config{Policy: policy("signed"), Sources: []string{"f"}}},
		"empty list":            {"trust:\n  certificates:\n", &config.Config{Sources: []string{"f"}}},
		"braces":                {`{"trust": {"firmware": true}, "policy": "verity"}`, &config.Config{Trust: config.Trust{Firmware: &yes}, Policy: policy("verity"), Sources: []string{"f"}}},
		"policy between quotes": {`policy: "*"`, &config.Config{Policy: policy("*"), Sources: []string{"f"}}},
		"path is cleaned":       {"trust: {folders: [//srv/./x/]}", &config.Config{Trust: config.Trust{Folders: []string{"/srv/x"}}, Sources: []string{"f"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Parse("f", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, samePolicy()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	key := "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
	cases := map[string]struct{ text, place, want, hint string }{
		"unknown key":            {"policy: any\ntrsut:\n  firmware: true\n", "2:1", `no key is called "trsut", in the line "trsut:"`, `did you mean "trust"?`},
		"unknown key below":      {"trust:\n  certificate:\n    - /a\n", "2:3", `no key of trust is called "certificate"`, `did you mean "certificates"?`},
		"dash for underscore":    {"trust:\n  deny-lists: [/a]\n", "2:3", `called "deny-lists"`, `did you mean "deny_lists"?`},
		"nothing near":           {"stages:\n  boot: []\n", "1:1", `no key is called "stages"`, "use one of engine, hierarchies, matching, mutable, policy, search, trust"},
		"numeric key":            {"1: x\n", "1:1", `no key is called "1"`, "use one of"},
		"list as key":            {"[a]: x\n", "1:", "", ""},
		"twice":                  {"policy: signed\ntrust:\npolicy: any\n", "3:1", `the key "policy" is given twice, first in line 1`, "under one key"},
		"twice, below":           {"trust:\n  firmware: true\n  firmware: false\n", "3:3", `the key "firmware" is given twice`, ""},
		"twice, quoted":          {"policy: signed\n\"policy\": any\n", "2:1", "twice", ""},
		"two documents":          {"policy: signed\n---\npolicy: any\n", "2:1", "a second document", "without ---"},
		"tab":                    {"trust:\n\tfirmware: true\n", "2:1", "a tab indents this line", "spaces"},
		"tab after blanks":       {"trust:\n  \tfirmware: true\n", "2:3", "a tab indents this line", "spaces"},
		"not YAML":               {"trust: [\n", "1:", "not YAML: ", "indentation"},
		"bad indentation":        {"trust:\n  firmware: true\n chains: true\n", "3:", "", ""},
		"not a mapping":          {"- policy\n", "1:1", "the configuration wants keys with values, and gets a list", ""},
		"a text alone":           {"signed\n", "1:1", `and gets the text "signed"`, "write lines such as engine:"},
		"trust is a list":        {"trust:\n  - /a.crt\n", "2:3", "trust wants keys with values, and gets a list", "certificates:"},
		"certificates is a text": {"trust:\n  certificates: /a.crt\n", "2:17", "a list is wanted", "dash"},
		"certificate is a list":  {"trust:\n  certificates: [[/a.crt]]\n", "2:18", "a text is wanted, and this is a list", ""},
		"certificate is empty":   {"trust:\n  certificates:\n    -\n", "3:", "there is no value", ""},
		"relative path":          {"trust:\n  certificates: [a.crt]\n", "2:18", `"a.crt" is not absolute`, "PEM"},
		"dots in a path":         {"trust:\n  folders: [/a/../b]\n", "2:13", "two dots", ""},
		"control in a path":      {"trust:\n  folders: [\"/a\\nb\"]\n", "2:13", "control character", ""},
		"folded PEM":             {"trust:\n  certificates:\n    - >\n" + indent(pemText, "      "), "3:7", "not whole PEM", "begins with |"},
		"unfinished PEM":         {"trust:\n  certificates:\n    - |\n" + indent("-----BEGIN CERTIFICATE-----\nMIIB\n", "      "), "3:7", "not whole PEM", ""},
		"half of the second":     {"trust:\n  certificates:\n    - |\n" + indent(pemText+"-----BEGIN CERTIFICATE-----\nMIIB\n", "      "), "3:7", "not whole PEM", ""},
		"private key":            {"trust:\n  certificates:\n    - |\n" + indent(pemText+key, "      "), "3:7", "a private key", "new key"},
		"another PEM":            {"trust:\n  certificates:\n    - |\n" + indent(strings.ReplaceAll(pemText, "CERTIFICATE", "PUBLIC KEY"), "      "), "3:7", `"PUBLIC KEY"`, ""},
		"yes":                    {"trust:\n  firmware: yes\n", "2:13", `true or false is wanted, and this is the text "yes"`, "write true or false"},
		"quoted truth":           {"trust:\n  chains: \"true\"\n", "2:11", "true or false is wanted", "without quotes"},
		"empty truth":            {"trust:\n  firmware:\n", "2:", "and this is empty", ""},
		"policy is empty":        {"policy:\n", "1:", "there is no value", ""},
		"policy is a tilde":      {"policy: ~\n", "1:9", "there is no value", `"~"`},
		"policy is a number":     {"policy: 1\n", "1:9", "a text is wanted, and this is a number", "quotes"},
		"policy is true":         {"policy: true\n", "1:9", "and this is true or false", ""},
		"policy is odd":          {"policy: root=trusted\n", "1:9", `no flag is called "trusted"`, "unprotected"},
		"short fingerprint":      {"trust:\n  fingerprints: [00:11]\n", "2:18", "64 hexadecimal digits", "openssl x509"},
		"fingerprint of letters": {"trust:\n  fingerprints:\n    - " + strings.Repeat("x", 64) + "\n", "3:7", "64 hexadecimal digits", ""},
		"alias":                  {"policy: &p signed\n", "1:", "aliases, anchors and tags", "write the value out"},
		"alias to a mapping":     {"trust: *t\n", "1:8", "aliases, anchors and tags", ""},
		"merge key":              {"trust:\n  <<: {firmware: true}\n", "2:3", "aliases, anchors and tags", ""},
		"tag":                    {"policy: !!str signed\n", "1:9", "aliases, anchors and tags", ""},
		"NUL":                    {"policy: any\n#\x00\n", "2:2", "a NUL byte", ""},
		"lone carriage return":   {"policy: any\rtrust:\n", "1:12", "a carriage return", ""},
		"Latin-1":                {"policy: any\n# \xe4\n", "2:1", "not UTF-8", "save the file"},
		"too large":              {strings.Repeat("# a comment\n", 30000), "1:1", "are the limit", ""},
		"too many keys":          {"a: {" + strings.Repeat("k: 1, ", 1000) + "}", "1:", "more than 512 keys", ""},
		"too deep":               {"trust: " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000), "1:", "deep in each other", ""},
		"a row of dashes":        {strings.Repeat("- ", 1000), "1:", "deep in each other", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Parse("f.yaml", []byte(c.text))
			if err == nil {
				t.Fatalf("taken: %+v", got)
			}
			e, ok := errors.AsType[*config.Error](err)
			if !ok {
				t.Fatalf("without a place: %v", err)
			}
			if place := fmt.Sprintf("%d:%d", e.Line, e.Column); !strings.HasPrefix(place, c.place) {
				t.Errorf("at %s, want %s: %v", place, c.place, err)
			}
			if lines := strings.Split(c.text, "\n"); e.Source != lines[e.Line-1] {
				t.Errorf("shows the line %q, want %q", e.Source, lines[e.Line-1])
			}
			if text := err.Error(); !strings.HasPrefix(text, "f.yaml:"+c.place) || !strings.Contains(text, c.want) || strings.Contains(text, "\n") {
				t.Errorf("says %q, want one line with %q", text, c.want)
			}
			if advice := strings.Join(hint.Of(err), " "); !strings.Contains(advice, c.hint) {
				t.Errorf("the hint is %q, want %q in it", advice, c.hint)
			}
		})
	}
}

// TestBombs has files that some readers of YAML take minutes or gigabytes for.
func TestBombs(t *testing.T) {
	t.Parallel()
	var laughs strings.Builder
	laughs.WriteString("a: &a [x,x,x,x,x,x,x,x,x]\n")
	for c := 'b'; c < 'l'; c++ {
		fmt.Fprintf(&laughs, "%c: &%c [*%c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c]\n", c, c, c-1)
	}
	var wide, deep strings.Builder
	for i := 0; wide.Len() < 250<<10; i++ {
		fmt.Fprintf(&wide, "k%d: 1\n", i)
	}
	for i := 0; deep.Len() < 250<<10; i++ {
		fmt.Fprintf(&deep, "%*s-\n", i, "")
	}
	bombs := map[string]string{
		"laughs": laughs.String(), "wide": wide.String(), "deep": deep.String(),
		"cycle":       "trust: &t {certificates: [*t]}\n",
		"brackets":    strings.Repeat("[", 250<<10),
		"braces":      strings.Repeat("{a: ", 60<<10),
		"questions":   strings.Repeat("? ", 120<<10),
		"anchors":     strings.Repeat("&a ", 80<<10),
		"tags":        strings.Repeat("!a ", 80<<10),
		"colons":      strings.Repeat("a: ", 80<<10),
		"quotes":      "policy: \"" + strings.Repeat("\\\n", 120<<10),
		"long text":   "policy: " + strings.Repeat("x", 250<<10),
		"long block":  "policy: |\n" + strings.Repeat("  x\n", 60<<10),
		"long folded": "policy: >\n" + strings.Repeat("  x\n\n", 50<<10),
		"plain lines": "policy: x\n" + strings.Repeat("  x\n", 60<<10),
		"long list":   "trust:\n  folders:\n" + strings.Repeat("  - 1\n", 40<<10),
		"documents":   strings.Repeat("---\n", 60<<10),
		"blank":       strings.Repeat("\n", 250<<10),
	}
	for name, text := range bombs {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			for _, text := range []string{text, "#cloud-config\n" + text, "#cloud-config\ninstall:\n  trust:\n" + indent(text, "    ")} {
				_, err := config.Parse("f", []byte(text))
				if err != nil && len(err.Error()) > 2000 {
					t.Errorf("an error of %d bytes", len(err.Error()))
				}
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			} else {
				t.Log(took)
			}
		})
	}
}
