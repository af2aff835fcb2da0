package cli_test

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"inlay/test/sample"
)

// cmdMakeEFI is "mkefi FILE stub|loader [ARCH]" or "mkefi FILE kernel RELEASE
// [ARCH]": it makes an EFI program without code that passes for systemd's stub,
// systemd-boot or a kernel, for x86-64 unless another word of systemd's is given.
// The folders above FILE are made.
func cmdMakeEFI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mkefi FILE stub|loader [ARCH], or mkefi FILE kernel RELEASE [ARCH]")
	}
	arch := func(at int) string {
		if len(args) > at {
			return args[at]
		}
		return "x86-64"
	}
	var program []byte
	switch {
	case args[1] == "stub":
		program = sample.Stub(arch(2))
	case args[1] == "loader":
		program = sample.BootLoader(arch(2))
	case args[1] == "kernel" && len(args) > 2:
		program = sample.Kernel(arch(3), args[2])
	default:
		ts.Fatalf("no such program: %q", args[1:])
	}
	file := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
	ts.Check(os.WriteFile(file, program, 0o644))
}
