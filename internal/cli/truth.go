package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// truth is a flag with a truth value in systemd's words, that need not be given.
type truth struct{ value *bool }

// flag gives c the flag. Without a value it is true.
func (t *truth) flag(c *cobra.Command, name, usage string) {
	c.Flags().VarPF(t, name, "", usage).NoOptDefVal = "true"
	complete(c, name, "true", "false")
}

// Set implements pflag.Value.
func (t *truth) Set(text string) error {
	value := slices.Contains([]string{"1", "yes", "y", "true", "t", "on"}, strings.ToLower(text))
	if !value && !slices.Contains([]string{"0", "no", "n", "false", "f", "off"}, strings.ToLower(text)) {
		return fmt.Errorf("%q is neither true nor false", text)
	}
	t.value = &value
	return nil
}

// String implements pflag.Value.
func (t *truth) String() string {
	if t.value == nil {
		return ""
	}
	return strconv.FormatBool(*t.value)
}

// Type implements pflag.Value.
func (t *truth) Type() string { return "bool" }

// on says whether it was given as true.
func (t truth) on() bool { return t.value != nil && *t.value }
