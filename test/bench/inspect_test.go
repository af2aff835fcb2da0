//go:build bench

package bench_test

import (
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/debian"
)

// TestInspect sets "inlay inspect" beside systemd-dissect on the same signed
// image of payload A, for what both show, and for a list of all files.
func TestInspect(t *testing.T) {
	at, programs := memory(t), newTools(t)
	data := largeAndSmall(t)
	a := startAgent(t, debian.Tools(t), map[string]string{string(programs): "", at.folder: "", data.folder: ""})
	s := short{
		title: "Inspecting", agent: a, folder: at.folder, peer: "systemd-dissect",
		about: "A signed image of payload A, uncompressed, in memory.",
	}
	s.once(t, programs.inlay(), "build", extensionName, "file:"+data.tar(), "--compression", "none", "-q", "-o", at.folder,
		"--private-key", programs.keys()+"/db.key", "--certificate", programs.keys()+"/db.pem")
	image := filepath.Join(at.folder, extensionName+".sysext.raw")
	for _, argv := range [][]string{{"systemd-dissect", image}, {programs.inlay(), "inspect", image}} {
		if text := s.once(t, argv...); !strings.Contains(text, "ID=_any") || !strings.Contains(text, "root-verity-sig") {
			t.Fatalf("%q does not show the image:\n%s", argv, text)
		}
	}
	s.rows = []shortRow{
		{name: "inlay inspect", argv: [][]string{{programs.inlay(), "inspect", image}}},
		{name: "inlay inspect --json", argv: [][]string{{programs.inlay(), "inspect", image, "--json"}}},
		{name: "systemd-dissect", argv: [][]string{{"systemd-dissect", image}}},
		{name: "systemd-dissect --json=short", argv: [][]string{{"systemd-dissect", "--json=short", image}}},
	}
	s.run(t)
	// It mounts the image for this, through the hash tree where a kernel has
	// device-mapper; not so here, to its advantage.
	s.title, s.peer = "Listing the files of an image", "systemd-dissect --list"
	s.rows = []shortRow{
		{name: "inlay inspect --list", argv: [][]string{{programs.inlay(), "inspect", image, "--list"}}},
		{name: "systemd-dissect --list", argv: [][]string{{"env", "SYSTEMD_DISSECT_VERITY_EMBEDDED=0", "systemd-dissect", "--list", image}}},
	}
	s.run(t)
}
