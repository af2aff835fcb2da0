package witness_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/test/debian"
)

// mergeScript merges on each host that its arguments name, three of them each:
// the host's name, the program and whether the host is an initrd. It prints
// the program's log and what is merged then.
const mergeScript = `
while [ $# -gt 0 ]; do
  export SYSTEMD_IN_INITRD=$3
  echo "@host $1"
  SYSTEMD_LOG_LEVEL=debug "$2" --root="/hosts/$1" merge 2>&1 || echo @failed
  echo "@status $("$2" --root="/hosts/$1" status --json=short)"
  SYSTEMD_LOG_LEVEL=err "$2" --root="/hosts/$1" unmerge
  shift 3
done
`

// What becomes of an extension beside a rule's word.
const (
	merged    = "merged"
	noRelease = "no release"
	noName    = "no name" // systemd does not even see it
	noHost    = "no host" // nothing is merged at all
)

// TestMatchingAsSystemd puts folders with all sorts of names and release files
// before systemd-sysext and systemd-confext 257, and compares what becomes of
// each, and by which rule, with what inlay says.
func TestMatchingAsSystemd(t *testing.T) {
	t.Parallel()
	hosts := matchingHosts()
	folder := t.TempDir()
	argv := []string{"sh", "-euc", mergeScript, "merge.sh"}
	ours := map[string]map[string]string{}
	cases := 0
	for name, h := range hosts {
		h.write(t, filepath.Join(folder, name))
		ours[name] = h.judge(t, filepath.Join(folder, name))
		cases += len(h.extensions)
		initrd := "0"
		if h.initrd {
			initrd = "1"
		}
		argv = append(argv, name, "systemd-"+h.kind().Name, initrd)
	}
	if cases < 80 {
		t.Errorf("only %d cases", cases)
	}
	log := debian.Tools(t).Run(t, map[string]string{folder: "/hosts"}, argv...)
	theirs := map[string]map[string]string{}
	for part := range strings.SplitSeq(log, "@host ") {
		name, text, _ := strings.Cut(part, "\n")
		if h, ok := hosts[name]; ok {
			theirs[name] = h.outcomes(t, text)
		}
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("what becomes of the extensions (-systemd +inlay):\n%s", diff)
	}
	seen := map[string]int{}
	for _, outcomes := range theirs {
		for _, o := range outcomes {
			seen[o]++
		}
	}
	for _, o := range []string{
		merged, noRelease, noName, noHost,
		extension.RuleScope, extension.RuleArchitecture, extension.RuleID, extension.RuleLevel, extension.RuleVersion,
	} {
		if seen[o] < 2 {
			t.Errorf("%d extensions end as %q, want more", seen[o], o)
		}
	}
}

// matchingHost is a root folder and the extensions in it.
type matchingHost struct {
	release    string
	initrd     bool
	confext    bool
	extensions map[string]matchingFiles // by the folder's name
}

// matchingFiles are release files by what follows "extension-release." in their
// name. After a NUL in the text stands the value of the attribute that makes the
// name strict, or "->" and where a link leads.
type matchingFiles map[string]string

func (h matchingHost) kind() extension.Kind {
	if h.confext {
		return extension.Confext()
	}
	return extension.Sysext()
}

// write makes the host's root folder.
func (h matchingHost) write(t *testing.T, root string) {
	t.Helper()
	write(t, filepath.Join(root, "usr/lib/os-release"), h.release, 0o644)
	write(t, filepath.Join(root, "etc/hostname"), "host\n", 0o644)
	links := map[string]string{"etc/os-release": "/usr/lib/os-release"}
	if h.initrd {
		links["etc/initrd-release"] = "os-release"
	}
	for _, name := range []string{"opt", "run"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	k := h.kind()
	for name, files := range h.extensions {
		own := filepath.Join(h.folder(root), name)
		write(t, filepath.Join(own, k.Hierarchies[0], "share/file"), name, 0o644)
		for file, all := range files {
			path := filepath.Join(own, k.ReleaseFile(file))
			text, strict, set := strings.Cut(all, "\x00")
			target, link := strings.CutPrefix(strict, "->")
			if link {
				links[strings.TrimPrefix(path, root+"/")] = target
				continue
			}
			write(t, path, text, 0o644)
			if !set {
				continue
			}
			if err := unix.Setxattr(path, "user.extension-release.strict", []byte(strict), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	for path, target := range links {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(target, path)); err != nil {
			t.Fatal(err)
		}
	}
}

// folder is where the host keeps its extensions.
func (h matchingHost) folder(root string) string {
	return filepath.Join(root, "var/lib", map[bool]string{false: "extensions", true: "confexts"}[h.confext])
}

// judge returns what inlay says becomes of each extension.
func (h matchingHost) judge(t *testing.T, root string) map[string]string {
	t.Helper()
	host, err := extension.HostAt(openFolder(t, root), "x86-64")
	hosted := err == nil
	host.Systemd = 257
	k := h.kind()
	outcomes := map[string]string{}
	for name := range h.extensions {
		own := extension.NameOfFolder(k, name)
		outcomes[own] = merged
		if !hosted {
			outcomes[own] = noHost
			continue
		}
		if extension.ValidName(own) != nil {
			outcomes[own] = noName
			continue
		}
		found, err := extension.LookupRelease(openFolder(t, filepath.Join(h.folder(root), name)), k, own)
		if err != nil {
			outcomes[own] = noRelease
			continue
		}
		err = host.Match(k, found.Release)
		if m, ok := errors.AsType[*extension.Mismatch](err); ok {
			outcomes[own] = m.Rule
		} else if err != nil {
			t.Errorf("matching %q: %v, which is no Mismatch", own, err)
		}
		if outcomes[own] == extension.RuleRelease { // systemd does not tell them apart
			outcomes[own] = noRelease
		}
	}
	return outcomes
}

func openFolder(t *testing.T, path string) *content.Tree {
	t.Helper()
	root, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return content.Folder(root)
}

// extensionLine is what systemd logs of an extension that it does not merge.
// For an ID and for a VERSION_ID the words are the same; the host's are not.
var extensionLine = regexp.MustCompile(`(?m)^Extension '(.*?)' (carries no release data|is not suitable for scope|` +
	`is for architecture|does not contain ID in|is for API level|does not contain VERSION_ID|` +
	`is for OS '.*', but deployed on top of '(?:acme|7)')`)

// outcomes reads what became of each extension from a merge's output.
func (h matchingHost) outcomes(t *testing.T, output string) map[string]string {
	t.Helper()
	log, status, _ := strings.Cut(output, "@status ")
	outcomes := map[string]string{}
	for name := range h.extensions {
		outcomes[extension.NameOfFolder(h.kind(), name)] = noName
		if strings.Contains(log, "@failed") {
			outcomes[extension.NameOfFolder(h.kind(), name)] = noHost
		}
	}
	rules := map[string]string{
		"carries no release data": noRelease, "is not suitable for scope": extension.RuleScope,
		"is for architecture": extension.RuleArchitecture, "does not contain ID in": extension.RuleID,
		"is for API level": extension.RuleLevel, "does not contain VERSION_ID": extension.RuleVersion,
		"is for OS on top of 'acme'": extension.RuleID, "is for OS on top of '7'": extension.RuleVersion,
	}
	for _, m := range extensionLine.FindAllStringSubmatch(log, -1) {
		before, host, about := strings.Cut(m[2], "', but deployed ")
		if about {
			before = before[:len("is for OS ")] + host
		}
		outcomes[m[1]] = rules[before]
	}
	var hierarchies []struct {
		Hierarchy  string `json:"hierarchy"`
		Extensions any    `json:"extensions"` // a list, or "none"
	}
	if err := json.Unmarshal([]byte(status), &hierarchies); err != nil {
		t.Fatalf("%v in the status of a host:\n%s", err, output)
	}
	for _, hierarchy := range hierarchies {
		names, _ := hierarchy.Extensions.([]any)
		for _, name := range names {
			outcomes[fmt.Sprint(name)] = merged
		}
	}
	if slices.Contains(slices.Collect(maps.Values(outcomes)), "") {
		t.Errorf("an outcome has no word:\n%s", log)
	}
	return outcomes
}
