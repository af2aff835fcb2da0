package witness_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/debian"
	"inlay/test/need"
)

// TestInspectReadsSystemdRepart has inlay read an image that systemd-repart
// 257 made and signed.
func TestInspectReadsSystemdRepart(t *testing.T) {
	t.Parallel()
	need.Root(t)
	folder := t.TempDir()
	tree := filepath.Join(folder, "tree")
	everything(t, tree)
	write(t, filepath.Join(tree, "usr/lib/extension-release.d/extension-release.foreign"), "ID=_any\nVERSION_ID=\"1 2\"\n", 0o644)
	k := newKey(t)
	debian.Tools(t).Run(t, map[string]string{folder: "/w", filepath.Dir(k.private): "/keys"},
		"systemd-repart", "--make-ddi=sysext", "--private-key=/keys/db.key", "--certificate=/keys/db.pem",
		"--copy-source=/w/tree", "/w/foreign.sysext.raw")
	image := filepath.Join(folder, "foreign.sysext.raw")

	var report struct {
		Kind          string   `json:"kind"`
		ExtensionName string   `json:"extensionName"`
		Release       []string `json:"sysextRelease"`
		RootHash      string   `json:"rootHash"`
		Signature     string   `json:"signature"`
		Signer        struct {
			Subject string `json:"subject"`
		} `json:"signer"`
		Unread []string `json:"unread"`
		Files  []struct {
			Path   string `json:"path"`
			Size   int64  `json:"size"`
			Links  int    `json:"links"`
			Target string `json:"target"`
			Device string `json:"device"`
		} `json:"files"`
	}
	text := command(t, nil, inlay, "inspect", image, "--list", "--json")
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err)
	}
	got := []string{report.Kind, report.ExtensionName, report.RootHash, report.Signature, report.Signer.Subject, strings.Join(report.Release, ",")}
	want := []string{"sysext", "foreign", rootHash(t, image), "present", "CN=witness-db", "ID=_any,VERSION_ID=1 2"}
	if diff := cmp.Diff(want, got); diff != "" || len(report.Unread) > 0 {
		t.Errorf("the report (-want +got), unread %q:\n%s", report.Unread, diff)
	}
	listed := map[string]bool{}
	for _, f := range report.Files {
		listed[strings.TrimPrefix(f.Path, "/")] = true
		if strings.HasSuffix(f.Path, "/tool") && f.Links != 2 || strings.HasSuffix(f.Path, "/disk") && f.Device != "259:70000" ||
			strings.HasSuffix(f.Path, "/link") && f.Target != "../../usr/bin/tool" || strings.HasSuffix(f.Path, "/sparse") && f.Size != 3_000_000 {
			t.Errorf("%q is listed as %+v", f.Path, f)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(snapshot(t, tree))), slices.Sorted(maps.Keys(listed))); diff != "" {
		t.Errorf("names listed (-want +got):\n%s", diff)
	}
}
