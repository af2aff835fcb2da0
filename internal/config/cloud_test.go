package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/config"
	"inlay/internal/hint"
)

// othersCloud is what others may write: templates, scripts, what repeats, with
// our words at places where they are not ours.
const othersCloud = `hostname: node-{{ trunc 4 .MachineID }}
domain: {{ .Domain }}
users:
- name: kairos
  passwd: "un'finished \" # "
  trust: me
- 'it''s':   &x !t "so: '"
policy: not ours
trust: [not, {ours: "]"}, 'a''b', don't]
stages:
  initramfs:
    - name: "Write"
      files:
        - path: /etc/inlay/config.yaml
          content: |
            install:
              trust:
                firmware: true
   # not so deep
      commands:
      - |-
        if [ "$x" = "{" ]; then echo 'policy: x'; fi
       
        motd="
      - >1+

        "
      - plain [ 'text
        "that goes, on
  initramfs: twice
x: &x {a: *x}
k3s: !!binary *nothing
install_log:
  text
  'goes on
`

// oddCloud has more, that is no YAML.
const oddCloud = othersCloud + `host: {{ .Name }}-{{ trunc 4 .MachineID }}
trust: [not, {ours
passwd: "unfinished
	tab: here
`

func TestCloudConfig(t *testing.T) {
	t.Parallel()
	yes := true
	want := &config.Config{Trust: config.Trust{Firmware: &yes}, Policy: policy("verity"), Sources: []string{"c"}}
	block := "install:\n  trust:\n    firmware: true\n  policy: verity\n"
	nothing := &config.Config{}
	cases := map[string]struct {
		text string
		want *config.Config
	}{
		"plain":                 {"#cloud-config\n" + block, want},
		"node":                  {"#node-config\n" + block, want},
		"blanks after the mark": {"#cloud-config  \r\n" + strings.ReplaceAll(block, "\n", "\r\n"), want},
		"document mark":         {"#cloud-config\n---\n" + block + "...\n", want},
		"before the odd":        {"#cloud-config\n" + block + oddCloud, want},
		"after others":          {"#cloud-config\n" + othersCloud + block, want},
		"among others": {"#cloud-config\ninstall: # where\n  device: {{ .Device }}\n  bundles:\n  - targets:\n    - run://x\n\n  policy: verity # strict\n" +
			"  grub_options: {a: b}\n\n  # what we trust\n  trust:\n\n    # the firmware\n# and a comment\n    firmware: true\n  reboot: true\n", want},
		"deeper":    {"#cloud-config\ninstall:\n        trust:\n         firmware: true\n        policy: verity\n", want},
		"quoted":    {"#cloud-config\n\"install\":\n  'trust':\n    firmware: true\n  \"policy\": verity\n", want},
		"in braces": {"#cloud-config\ninstall:\n  trust: {firmware: true}\n  policy: verity\n", want},
		"PEM block": {
			"#cloud-config\ninstall:\n  trust:\n    certificates:\n    - |\n" + indent(pemText, "      ") + "  other: |\n    policy: any\n",
			&config.Config{
				Trust:   config.Trust{Certificates: []config.Certificate{{PEM: []byte(pemText), Origin: "configuration c:5"}}},
				Sources: []string{"c"},
			},
		},

		"nothing":                {"#cloud-config\n", nothing},
		"only others":            {"#cloud-config\n" + oddCloud, nothing},
		"install of others":      {"#cloud-config\ninstall:\n  device: auto\n  extra:\n    policy: x\n    trust: y\n", nothing},
		"install is null":        {"#cloud-config\ninstall: ~\n", nothing},
		"install in braces":      {"#cloud-config\ninstall: {device: auto}\nx: {policy: y}\n", nothing},
		"install by alias":       {"#cloud-config\nx: &x\n  device: auto\ninstall: *x\n", nothing},
		"all in braces":          {"#cloud-config\n{\"install\": {\"device\": \"auto\"}}\n", nothing},
		"two installs of others": {"#cloud-config\ninstall:\n  a: b\ninstall:\n  c: d\n", nothing},
		"two documents":          {"#cloud-config\na: b\n---\nc: d\n", nothing},
		"not UTF-8":              {"#cloud-config\na: \xff\x00\n", nothing},
		"in a text":              {"#cloud-config\ntext: |\n  install:\n    policy: any\n", nothing},
		"words within quotes":    {"#cloud-config\nmotd: \"\ninstall: this\n  is policy, or not\"\n", nothing},
		"behind quotes":          {"#cloud-config\nmotd: \"\n  \\\"\n  it's\n\" # '\nl: [a, # ]\n'b]',\n\"c\": {d: e\n}]\n" + block, want},
		"between quotes":         {"#cloud-config\ninstall:\n  device: \"\n two\"\n  trust:\n    firmware:\n      true\n  other: [\n  x]\n  policy: verity\n", want},
		"quotes of ours":         {"#cloud-config\ninstall:\n  policy: \"ver\\\n    ity\"\n  trust: {\n    firmware: true\n   }\n", want},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Parse("c", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, samePolicy()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCloudConfigRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ text, place, want, hint string }{
		"unknown key":           {othersCloud + "install:\n  trust:\n    firmwear: true\n", "39:5", `no key of trust is called "firmwear"`, `did you mean "firmware"?`},
		"bad policy":            {"install:\n  device: auto\n  policy: strict\n", "4:11", `"strict" has no equals sign`, "signed, verity or any"},
		"ours twice":            {"install:\n  policy: signed\n  policy: any\n", "4:3", "given twice", ""},
		"install twice":         {"install:\n  policy: signed\ninstall:\n  a: b\n", "4:1", "install is given twice", ""},
		"two documents":         {"install:\n  policy: signed\n---\na: b\n", "5:1", "a second document", "---"},
		"a document before":     {"a: b\n---\ninstall:\n  policy: signed\n", "4:1", "a second document", ""},
		"ours in braces":        {"install: {device: auto, policy: signed}\n", "2:1", "cannot be told", "without braces"},
		"ours in broken braces": {"install: {\n  trust: {firmware: true}}\n", "2:1", "cannot be told", ""},
		"all in braces":         {"{\"install\": {\"policy\": \"signed\"}}\n", "2:1", "cannot be told", ""},
		"all in many braces":    {"{\n\"install\": {\n\"policy\": \"signed\"}}\n", "", "cannot be told", ""},
		"by alias":              {"x: &x\n  policy: signed\ninstall: *x\n", "4:1", "cannot be told", "aliases"},
		"by merge key":          {"x: &x\n  policy: signed\ninstall:\n  <<: *x\n  a: b\n", "5:1", "cannot be told", "merge keys"},
		"anchored":              {"install: &x\n  policy: signed\n", "2:1", "cannot be told", ""},
		"tagged":                {"install: !!map\n  policy: signed\n", "2:1", "cannot be told", ""},
		"behind a question":     {"? install\n:\n  policy: signed\n", "2:1", "cannot be told", ""},
		"within quotes":         {"motd: \"\ninstall:\n  policy: any\n\"\n", "4:1", "cannot be told", "line 2"},
		"within single quotes":  {"motd: 'it''s\ninstall:\n  trust:\n    firmware: true\n'\n", "4:1", "cannot be told", "line 2"},
		"within deeper quotes":  {"users:\n  - name: &x !!str \"\ninstall:\n  policy: any\n  \"\n", "5:1", "cannot be told", "line 3"},
		"within brackets":       {"motd: [\ninstall:\n  policy: any\n]\n", "4:1", "cannot be told", "line 2"},
		"within beside":         {"install:\n  device: \"\n  policy: any\n  \"\n", "4:1", "cannot be told", "line 3"},
		"quotes left of ours":   {"install:\n  policy: \"root=\nsigned\"\n", "4:1", "cannot be told", "line 3"},
		"behind unclosed":       {"x: {{ .A }}-{{ .B }}\ninstall:\n  policy: any\n", "4:1", "cannot be told", "line 2"},
		"in a root text":        {"--- |\ninstall:\n  policy: any\n", "4:1", "cannot be told", "line 2"},
		"in a bare root text":   {"|\ninstall:\n  policy: any\n", "4:1", "cannot be told", "line 2"},
		"in root quotes":        {"\"\ninstall:\n  policy: any\n\"\n", "4:1", "cannot be told", "line 2"},
		"behind a return":       {"# x\ry: \"\ninstall:\n  policy: any\n\"\n", "4:1", "cannot be told", "line 2"},
		"tabs":                  {"install:\n\tpolicy: signed\n", "3:1", "cannot be told", "spaces"},
		"tabs below":            {"install:\n  trust:\n  \tfirmware: true\n", "4:", "not YAML", ""},
		"tabs beside":           {"install:\n  device: auto\n  \tpolicy: signed\n", "4:1", "cannot be told", ""},
		"not UTF-8":             {"install:\n  policy: \xff\n", "3:1", "not UTF-8", ""},
		"policy is a list":      {"install:\n  policy:\n  - signed\n", "4:", "a text is wanted", ""},
		"trust is a list":       {"install:\n  trust:\n  - firmware: true\n", "4:", "trust wants keys", ""},
		"too large":             {strings.Repeat("# x\n", 2<<20), "1:1", "are the limit", ""},
		"ours too large":        {"install:\n  trust:\n" + strings.Repeat("    # a comment\n", 20000), "1:1", "are the limit", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Parse("c", []byte("#cloud-config\n"+c.text))
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
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("says %q, want %q in it", err, c.want)
			}
			if advice := strings.Join(hint.Of(err), " "); !strings.Contains(advice, c.hint) {
				t.Errorf("the hint is %q, want %q in it", advice, c.hint)
			}
		})
	}
}
