package extension

import (
	"fmt"
	"runtime"
	"slices"
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

// HostArchitecture returns systemd's word for the architecture of this process.
func HostArchitecture() string { return ArchitectureWord(runtime.GOARCH) }

// ArchitectureWord returns systemd's word for what Go calls an architecture, or
// "" if systemd has none. It knows more of them than images can be built for.
func ArchitectureWord(goName string) string {
	// Where Go has no name of its own, or the same one, systemd's stands for it.
	differs := map[string]string{
		"386": "x86", "amd64": "x86-64", "amd64p32": "x86-64", "arm64be": "arm64-be", "armbe": "arm-be",
		"loong64": "loongarch64", "mips64le": "mips64-le", "mips64p32": "mips64", "mips64p32le": "mips64-le",
		"mipsle": "mips-le", "ppc64le": "ppc64-le", "riscv": "riscv32",
	}
	if word, ok := differs[goName]; ok {
		return word
	}
	if slices.Contains(systemdWords(), goName) {
		return goName
	}
	return ""
}
