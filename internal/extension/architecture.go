package extension

import (
	"fmt"
	"strings"

	"inlay/internal/hint"
)

// Architecture is a processor family that images can be built for.
type Architecture struct {
	// Word is systemd's name, as it stands in ARCHITECTURE= and in labels.
	Word string
	// Go is the name that Go and OCI platforms use.
	Go string
}

// Architectures lists what images can be built for.
func Architectures() []Architecture {
	return []Architecture{{"x86-64", "amd64"}, {"arm64", "arm64"}, {"riscv64", "riscv64"}}
}

// ArchitectureNamed takes either name of an architecture, and the two that
// uname(1) prints.
func ArchitectureNamed(name string) (Architecture, error) {
	canonical := name
	switch name {
	case "x86_64":
		canonical = "amd64"
	case "aarch64":
		canonical = "arm64"
	}
	var known []string
	for _, a := range Architectures() {
		if a.Go == canonical || a.Word == canonical {
			return a, nil
		}
		known = append(known, a.Go)
	}
	return Architecture{}, hint.Wrap(fmt.Errorf("unsupported architecture %q", name),
		"images can be built for "+strings.Join(known, ", "))
}

// systemdWords are the values of ARCHITECTURE= that a host can have, from the
// list in systemd's ConditionArchitecture=. Others match nothing: "amd64",
// "x86_64" and "any" are mistakes that were seen in the wild.
func systemdWords() []string {
	return []string{
		"x86-64", "x86", "arm64", "arm64-be", "arm", "arm-be", "riscv64", "riscv32", "loongarch64",
		"ppc64-le", "ppc64", "ppc-le", "ppc", "s390x", "s390", "mips64-le", "mips64", "mips-le", "mips",
		"ia64", "alpha", "arc", "arc-be", "parisc", "parisc64", "sparc", "sparc64", "m68k", "nios2",
		"sh", "sh64", "tilegx", "cris",
	}
}
