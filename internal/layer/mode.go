package layer

import (
	"fmt"
	"slices"
	"strings"

	"inlay/internal/hint"
)

// Mode says where what is written to a merged hierarchy goes: systemd's --mutable=.
type Mode string

// The modes. The zero Mode leaves it to the environment and the configuration.
const (
	Immutable       Mode = "no"
	Auto            Mode = "auto"
	Mutable         Mode = "yes"
	Import          Mode = "import"
	Ephemeral       Mode = "ephemeral"
	EphemeralImport Mode = "ephemeral-import"
)

// Modes lists every mode.
func Modes() []Mode {
	return []Mode{Immutable, Auto, Mutable, Import, Ephemeral, EphemeralImport}
}

// ParseMode reads a mode, or what systemd takes for a truth value.
func ParseMode(text string) (Mode, error) {
	switch strings.ToLower(text) {
	case "1", "yes", "y", "true", "t", "on":
		return Mutable, nil
	case "0", "no", "n", "false", "f", "off":
		return Immutable, nil
	}
	if m := Mode(text); slices.Contains(Modes(), m) {
		return m, nil
	}
	var words []string
	for _, m := range Modes() {
		words = append(words, string(m))
	}
	return "", hint.Wrap(fmt.Errorf("%q is no mode of mutability", text), "choose one of "+strings.Join(words, ", "))
}

// Stored says whether what lies in extensions.mutable, which nobody has signed,
// becomes part of the merge.
func (m Mode) Stored() bool {
	return m != "" && m != Immutable && m != Ephemeral
}
