//go:build machines

package machines_test

import (
	_ "embed" // layer.sh
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"inlay/test/machine"
)

//go:embed layer.sh
var layerScript string

// TestLayer has the engines merge signed images through dm-verity, and a byte change
// on the disk afterwards. systemd's engine compares the root hashes of the devices
// with what was judged.
func TestLayer(t *testing.T) {
	t.Parallel()
	p := newPayload(t)
	p.addMerger()
	signer := newKeyPair(t, "signer", "p256")
	p.add("signer.pem", signer.certificate)
	p.add("good.raw", buildImage(t, "layer-good", withInlay, signer))
	p.add("other.raw", buildImage(t, "layer-other", withInlay, signer))
	foreign := newKeyPair(t, "foreign", "p256")
	p.add("foreign.pem", foreign.certificate)
	p.add("foreign.raw", buildImage(t, "layer-foreign", withInlay, foreign))
	p.script.WriteString(deviceScript)
	p.script.WriteString(layerScript)
	p.run("layers")
	results := machine.Run(t, machine.Machine{Root: machine.RootImage(t), Disks: []machine.Disk{p.disk()}})

	readable := map[string]string{"content": "readable", "verity": "1", "loops": "2"}
	gone := map[string]string{"verity": "0", "loops": "0"}
	merged := map[string]string{"merged": "/usr", "unchanged": "false", "warnings": "~"}
	unmerged := map[string]string{"unmerged": "/usr"}
	signed := map[string]string{"state": "merge", "protection": "signed", "guarantee": "verity", "kernel": "false", "corrupt": "false", "reason": "none"}
	refused := with(signed, "state", "refused", "protection", "unprotected", "guarantee", "none")
	for name, want := range map[string]map[string]string{
		"good": merged, "good-content": readable, "good-report": signed,
		"good-systemd":   {"status": `~{"hierarchy":"/usr","extensions":["hello"],"since":1`},
		"good-unchanged": with(merged, "unchanged", "true"), "good-again": merged, "good-again-content": readable,
		"good-unmerge": unmerged, "good-left": gone,

		"foreign": with(merged, "merged", ""), "foreign-report": with(refused, "reason", "~trust"),
		"foreign-unmerge": {"unmerged": ""}, "foreign-left": gone,
		"verity": merged, "verity-content": readable, "verity-report": with(signed, "protection", "verity"), "verity-unmerge": unmerged,

		"swap": merged, "swap-before": readable, "swap-refresh": merged, "swap-after": readable, "swap-unmerge": unmerged, "swap-left": gone,

		"corrupt": merged, "corrupt-before": readable, "corrupt-after": with(readable, "content", "unreadable"),
		"corrupt-report": with(signed, "corrupt", "true", "reason", "~not_what_was_signed"),
		"same":           merged, "same-content": with(readable, "content", "unreadable"),
		"mended": merged, "mended-content": readable, "mended-report": signed, "mended-unchanged": with(merged, "unchanged", "true"),
		"corrupt-unmerge": unmerged, "corrupt-left": gone,

		"killed": merged, "killed-content": readable, "killed-unmerge": unmerged, "killed-left": gone,

		"engine": merged, "engine-content": with(readable, "loops", "1"), "engine-report": signed, "engine-unmerge": unmerged, "engine-left": gone,
		"engine-own": merged, "engine-own-content": with(readable, "loops", "1"), "engine-own-report": signed,
		"engine-own-other":   with(refused, "protection", "signed", "reason", "~cannot_check_its_signature"),
		"engine-own-unmerge": unmerged, "engine-own-left": gone,
		"engine-aside": merged, "engine-aside-other": signed, "engine-aside-unmerge": unmerged,
		"engine-swap":        {"error": "~what_was_merged_is_not_what_was_judged"},
		"engine-swap-status": {"status": `~{"hierarchy":"/usr","extensions":"none"`}, "engine-swap-left": gone,
	} {
		t.Run(name, func(t *testing.T) { checkAnswers(t, results.Case(t, name), want) })
	}
}

// addMerger puts the program test/merger into the payload.
func (p *payload) addMerger() {
	p.t.Helper()
	program := filepath.Join(p.t.TempDir(), "merger")
	build := exec.CommandContext(p.t.Context(), "go", "build", "-o", program, "inlay/test/merger")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		p.t.Fatalf("building the merger: %v\n%s", err, output)
	}
	p.add("merger", program)
}
