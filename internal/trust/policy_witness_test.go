package trust_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"inlay/internal/trust"
	"inlay/test/debian"
	"inlay/test/need"
)

// witnessed are policies that systemd of trixie (257) and we are both asked
// about. 257 knows neither encryptedwithintegrity nor file systems.
func witnessed() []string {
	return []string{
		"*", "-", "~", "=", "=-", "=+", ":", "::", "pfft", "signed=", "root", "root=", "root=-", "root=+", "root=signed", "root=verity",
		"root=verity+signed", "root=signed+verity", "root=encrypted", "root=unprotected", "root=unused", "root=absent", "root=open",
		"root=ignore", "root=ignore+verity", "root=open+signed", "root=signed+absent", "root=verity+unprotected", "root=signed+unprotected",
		"root=signed+unprotected+absent", "root=unused+absent", "root=signed+unused", "root=signed+unused+absent", "root=encrypted+unused+absent", "root=encrypted+absent",
		"root=signed+absent:usr=signed+absent", "root=verity+signed+absent:usr=verity+signed+absent",
		"root=verity+signed+unprotected+absent:usr=verity+signed+unprotected+absent",
		"root=verity+signed+encrypted+unprotected+absent:usr=verity+signed+encrypted+unprotected+absent",
		"usr=signed", "usr=signed+absent:root=absent", "usr=verity:=absent",
		"=signed", "=verity", "=open", "=ignore", "=absent", "=unprotected", "=unused", "=encrypted", "=signed+unprotected+absent",
		"root=signed:=absent", "root=verity:=absent", "root=verity:=open", "root=open:=absent", "=absent:root=signed", "root=unprotected:=absent",
		"root=signed:root-verity=absent", "root=verity:root-verity=unused", "root=verity:root-verity=ignore", "root=verity:root-verity=unprotected",
		"root=verity:root-verity-sig=absent", "root=verity:root-verity-sig=unused", "root=verity:root-verity-sig=ignore",
		"root=signed:root-verity-sig=unprotected", "root=signed:root-verity-sig=ignore", "root=verity+signed:root-verity-sig=ignore", "root=verity:root-verity-sig=unprotected", "root=verity:root-verity-sig=open",
		"root=verity:root-verity=open", "root=unprotected:root-verity=unprotected", "root=unprotected:root-verity-sig=open", "=unprotected+absent",
		"=verity+unprotected+absent", "=unused+unprotected+absent", "root-verity=unprotected", "root-verity=signed", "root-verity-sig=verity+absent",
		"root=open:home=unprotected", "root=open:home=open", "root=open:home=signed", "root=open:home=encrypted+absent",
		"root=open:srv=absent:esp=ignore:xbootldr=unused+absent:swap=absent:tmp=absent:var=absent", "root=open:usr=open", "root=open:usr=verity",
		"root=signed+read-only-on", "root=signed+read-only-off", "root=signed+read-only-on+read-only-off", "root=read-only-on",
		"root=signed+growfs-on", "root=signed+growfs-off", "root=growfs-off+growfs-on", "root=verity+growfs-on+read-only-on",
		"root=verity:root-verity=unprotected+read-only-off", "root=verity:root-verity=unprotected+growfs-off", "root=absent+read-only-on",
		"=open+read-only-on", "root=verity+growfs", "root=read-only",
		" root=open", "root=open ", "root = verity + signed", "root=verity\t+signed", "root=signed:", ":root=signed", "root=signed::usr=open",
		"root=signed+", "root=+signed", "root=signed++verity", "root=signed=x", "root==signed", "root='signed'", "root=\"signed\"",
		"root=signed:root=signed", "root=signed:root=open", "=open:=open", "foo=open", "Root=open", "root=Open", "boot=absent", "**", "*:root=open",
		"root=*", "root=~", "root=signed,usr=signed", "root=signed;usr=signed", "root=signed usr=signed",
	}
}

// TestWitnessSystemdAnalyze has systemd read each policy: what it refuses we
// refuse, and what it takes means the same for every kind of partition.
func TestWitnessSystemdAnalyze(t *testing.T) {
	t.Parallel()
	script := `for policy; do printf '\n<%s>\n' "$policy"; systemd-analyze --no-pager image-policy "$policy" 2>&1; echo "status $?"; done`
	policies := witnessed()
	output := debian.Tools(t).Run(t, nil, append([]string{"sh", "-c", script, "sh"}, policies...)...)
	taken := 0
	for _, text := range policies {
		_, said, found := strings.Cut(output, "\n<"+text+">\n")
		if !found {
			t.Fatalf("no answer about %q in\n%s", text, output)
		}
		said, _, _ = strings.Cut(said, "\n<")
		p, err := trust.ParsePolicy(text)
		if good := strings.Contains(said, "status 0"); good != (err == nil) {
			t.Errorf("%q: systemd takes it: %v; we: %v", text, good, err)
			continue
		} else if !good {
			continue
		}
		taken++
		compareTable(t, text, p, said)
		// What systemd makes of it is the same policy to us.
		_, long, found := strings.Cut(said, "Long form: ") // left out if it is the policy itself
		if !found {
			_, long, _ = strings.Cut(said, "Analyzing policy: ")
		}
		long, _, _ = strings.Cut(long, "\n")
		again, err := trust.ParsePolicy(strings.TrimSpace(long))
		if err != nil {
			t.Errorf("%q: the long form %q: %v", text, long, err)
			continue
		}
		for f := range everything {
			if (p.Check(f) == nil) != (again.Check(f) == nil) {
				t.Errorf("%q and systemd's %q differ for %+v", text, long, f)
				break
			}
		}
	}
	t.Logf("%d policies, of which %d are good", len(policies), taken)
}

// compareTable holds the table that systemd-analyze prints against ours.
func compareTable(t *testing.T, text string, p trust.Policy, said string) {
	t.Helper()
	ours := p.Effective()
	seen := 0
	for line := range strings.Lines(said) {
		words := strings.Fields(line)
		if len(words) != 4 {
			continue
		}
		want, ok := ours[words[0]]
		if !ok {
			continue // the header, the default
		}
		seen++
		if !slices.Equal(known(want[0]), known(words[1])) || want[1] != words[2] || want[2] != words[3] {
			t.Errorf("%q, partition %s: %v; systemd says %v", text, words[0], want, words[1:])
		}
	}
	if seen != len(ours) {
		t.Errorf("%q: systemd's table has %d partitions, ours %d:\n%s", text, seen, len(ours), said)
	}
}

// known returns uses as 257 knows them, in one order.
func known(uses string) []string {
	set := map[string]bool{}
	for word := range strings.SplitSeq(uses, "+") {
		switch word {
		case "open":
			for _, use := range []string{"verity", "signed", "encrypted", "unprotected", "unused", "absent"} {
				set[use] = true
			}
		case "ignore":
			set["unused"], set["absent"] = true, true
		case "-", "encryptedwithintegrity":
		default:
			set[word] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// TestWitnessSystemdDissect has systemd judge images by their structure, where a
// signature counts whoever made it, and compares that with Check.
func TestWitnessSystemdDissect(t *testing.T) {
	t.Parallel()
	tools := debian.Tools(t)
	work := t.TempDir()
	binds := map[string]string{work: "/w"}
	images := dissected(t, tools, work, binds)
	var good []string
	for _, text := range witnessed() {
		if _, err := trust.ParsePolicy(text); err == nil {
			good = append(good, text)
		}
	}
	names := slices.Sorted(maps.Keys(images))
	script := `images=$1; shift; for image in $images; do for policy; do
		systemd-dissect --validate --image-policy="$policy" "/w/$image.raw" >/dev/null 2>&1 && answer=yes || answer=no
		printf '%s %s <%s>\n' "$answer" "$image" "$policy"; done; done`
	output := tools.Run(t, binds, append([]string{"sh", "-c", script, "sh", strings.Join(names, " ")}, good...)...)
	passed := 0
	for _, name := range names {
		for _, text := range good {
			yes := strings.Contains(output, fmt.Sprintf("yes %s <%s>\n", name, text))
			if !yes && !strings.Contains(output, fmt.Sprintf("no %s <%s>\n", name, text)) {
				t.Fatalf("no answer about %s and %q in\n%s", name, text, output)
			}
			if yes {
				passed++
			}
			err := mustPolicy(t, text).Check(images[name])
			if yes != (err == nil) {
				t.Errorf("%s, %q: systemd lets it in: %v; we: %v", name, text, yes, err)
			}
		}
	}
	t.Logf("%d answers, of which %d let the image in", len(names)*len(good), passed)
}

// dissected makes images of each structure with systemd-repart.
func dissected(t *testing.T, tools *debian.Root, work string, binds map[string]string) map[string]trust.Found {
	t.Helper()
	release := filepath.Join(work, "tree/usr/lib/extension-release.d/extension-release.hello")
	if err := os.MkdirAll(filepath.Dir(release), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(release, []byte("ID=_any\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	build := `cd /w
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=witness
repart() { systemd-repart --make-ddi=sysext --copy-source=/w/tree --seed=01234567-89ab-cdef-0123-456789abcdef --architecture=x86-64 "$@"; }
repart --private-key=key.pem --certificate=cert.pem --split=yes signed.raw
repart --exclude-partitions=root-verity-sig verity.raw
cp verity.raw bare.raw
cp signed.root-*-64.raw naked.raw
cp naked.raw naked-verity.raw
veritysetup format naked-verity.raw naked-verity.verity --root-hash-file=naked-verity.roothash
rm signed.root-*`
	tools.Run(t, binds, "sh", "-euc", build)
	// Neither can repart be told to do; nor does 257 flag signatures as the rest.
	for _, args := range [][]string{
		{"--delete", filepath.Join(work, "bare.raw"), "2"},
		{"--part-attrs", filepath.Join(work, "signed.raw"), "3", "GUID:60"},
	} {
		if said, err := exec.CommandContext(t.Context(), need.Tool(t, "sfdisk", "fdisk"), args...).CombinedOutput(); err != nil {
			t.Fatalf("sfdisk %q: %v\n%s", args, err, said)
		}
	}
	naked := nakedImage()
	naked.FileSystem = "erofs"
	nakedVerity := naked
	nakedVerity.Verity = true
	return map[string]trust.Found{
		"signed": signedImage(), "verity": verityImage(), "bare": bareImage(), "naked": naked, "naked-verity": nakedVerity,
	}
}
