//go:build machines

package machines_test

import (
	"archive/tar"
	_ "embed" // verify.sh
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/test/machine"
)

//go:embed verify.sh
var verifyScript string

// answersSize is room for a verdict on each image and for the firmware's keys.
const answersSize = 8 << 20

// answers is a disk that a machine's script fills with files (see verify.sh), for
// what is too large for its serial line.
type answers struct {
	t     *testing.T
	disk  machine.Disk
	files map[string][]byte
}

func newAnswers(t *testing.T) *answers {
	t.Helper()
	path := filepath.Join(t.TempDir(), "answers")
	writeFile(t, path, "")
	if err := os.Truncate(path, answersSize); err != nil {
		t.Fatal(err)
	}
	return &answers{t, machine.Disk{Path: path, Serial: "answers", Keep: true}, map[string][]byte{}}
}

// read takes the files from the disk, once the machine has stopped.
func (a *answers) read() {
	a.t.Helper()
	disk, err := os.Open(a.disk.Path)
	if err != nil {
		a.t.Fatal(err)
	}
	defer disk.Close()
	for archive := tar.NewReader(disk); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			a.t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			a.t.Fatal(err)
		}
		a.files[filepath.Clean(header.Name)] = content
	}
}

func (a *answers) file(t *testing.T, name string) []byte {
	t.Helper()
	content, found := a.files[name]
	if !found {
		t.Fatalf("the machine left no %q", name)
	}
	return content
}

// variable returns a variable of the firmware that the script kept in a folder.
func (a *answers) variable(t *testing.T, folder, name string) efi.Variable {
	t.Helper()
	v, err := efi.ParseVariable(a.file(t, filepath.Join(folder, variableFile(name))))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// lists returns the signature lists in a variable.
func (a *answers) lists(t *testing.T, folder, name string) []efi.List {
	t.Helper()
	lists, err := efi.ParseLists(a.variable(t, folder, name).Data)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return lists
}

// state checks how far the firmware protected its keys.
func (a *answers) state(t *testing.T, folder string, secureBoot, setupMode bool) {
	t.Helper()
	for name, want := range map[string]bool{"SecureBoot": secureBoot, "SetupMode": setupMode} {
		if on, err := a.variable(t, folder, name).Flag(); err != nil || on != want {
			t.Errorf("%s is %t (%v), and the machine not what this test is about", name, on, err)
		}
	}
}

// anchor and report are what docs/json.md promises of "inlay verify".
type anchor struct{ Subject, Fingerprint, Origin string }

type report struct {
	Trusted  []anchor
	Problems []struct{ Origin, Text string }
	Images   []struct {
		Result, Protection string
		Signer             struct {
			Fingerprint, Anchor string
			Trusted             bool
		}
		Refusal struct{ Check, Reason string }
	}
}

// verdict is the answer to one question about one image.
type verdict struct {
	status             int
	result, protection string
	trusted            bool   // the signer
	anchor             string // the signer's
	check, reason      string // of a refusal; only a part of the reason is compared
}

// good is the verdict on what a key in the variable signed.
func good(variable string) verdict {
	return verdict{result: "good", protection: "signed", trusted: true, anchor: "firmware " + variable}
}

func refused(check, reason string) verdict {
	return verdict{status: 3, result: "refused", protection: "unprotected", check: check, reason: reason}
}

// by adds what a key in the variable signed all the same.
func (v verdict) by(variable string, trusted bool) verdict {
	v.anchor, v.trusted = "firmware "+variable, trusted
	return v
}

// verdict compares what "inlay verify" answered in a case with what it should
// have, and returns the rest of the answer.
func (a *answers) verdict(t *testing.T, name string, want verdict) report {
	t.Helper()
	var r report
	if err := json.Unmarshal(a.file(t, name+".json"), &r); err != nil || len(r.Images) != 1 {
		t.Fatalf("%s: %d verdicts, %v", name, len(r.Images), err)
	}
	status, err := strconv.Atoi(strings.TrimSpace(string(a.file(t, name+".status"))))
	if err != nil {
		t.Fatal(err)
	}
	image := r.Images[0]
	got := verdict{
		status, image.Result, image.Protection, image.Signer.Trusted, image.Signer.Anchor,
		image.Refusal.Check, image.Refusal.Reason,
	}
	if want.reason != "" && strings.Contains(got.reason, want.reason) {
		got.reason = want.reason
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(verdict{})); diff != "" {
		t.Errorf("the verdict (-want +got):\n%s", diff)
	}
	return r
}
