package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"inlay/internal/efi"
)

// cmdAnswers is "answers CODE PROGRAM ARGUMENT...": the program ends with that
// code, which is not 0 and no error but what it found out. It says so on standard
// output, with advice unless it is to be quiet; on standard error stand at most
// warnings, and no file is made or changed.
func cmdAnswers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: answers CODE PROGRAM ARGUMENT...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	before := snapshot(ts)
	err = ts.Exec(args[1], args[2:]...)
	if got := codeOf(ts, err); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	switch {
	case asksForJSON(args):
		if !json.Valid([]byte(stdout)) || stderr != "" {
			ts.Fatalf("the answer is not JSON alone")
		}
	case stdout == "":
		ts.Fatalf("an answer says nothing on standard output")
	case !slices.Contains(args, "--quiet") && !strings.Contains(stdout, "\n  hint: "):
		ts.Fatalf("the answer comes without a hint")
	}
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "warning: ") {
			ts.Fatalf("a line on standard error belongs to nothing: %q", line)
		}
	}
	if diff := cmp.Diff(before, snapshot(ts)); diff != "" {
		ts.Fatalf("it leaves traces (-before +after):\n%s", diff)
	}
}

// cmdEFIVars is "efivars DIR NAME=VALUE...": it makes a folder of firmware
// variables. The value of SecureBoot and SetupMode is 0 or 1, that of PK, KEK, db
// and dbx the files of certificates, with commas between them, or nothing.
func cmdEFIVars(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: efivars DIR NAME=VALUE...")
	}
	folder := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(folder, 0o755))
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		vendor := efi.GlobalVariable()
		if strings.HasPrefix(name, "db") {
			vendor = efi.ImageSecurity()
		}
		v := efi.Variable{Attributes: efi.NonVolatile | efi.BootServiceAccess | efi.RuntimeAccess}
		if value == "0" || value == "1" {
			v.Data = []byte{value[0] - '0'}
		} else {
			for file := range strings.SplitSeq(value, ",") {
				if file == "" {
					continue
				}
				certificate, err := parseCertificate([]byte(ts.ReadFile(file)))
				ts.Check(err)
				l := efi.List{Type: efi.X509(), Entries: []efi.Entry{{Data: certificate.Raw}}}
				v.Data = append(v.Data, l.Marshal()...)
			}
		}
		ts.Check(os.WriteFile(filepath.Join(folder, efi.FileName(name, vendor)), v.Marshal(), 0o644))
	}
}
