package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// jsonMode is a --json that may say how: systemd's words, beside the plain flag of
// the other commands.
type jsonMode string

// The modes; the zero value is off, too.
const (
	jsonOff    jsonMode = "off"
	jsonPretty jsonMode = "pretty"
	jsonShort  jsonMode = "short"
)

// flag gives c the flag.
func (m *jsonMode) flag(c *cobra.Command) {
	f := c.Flags().VarPF(m, "json", "", "print JSON, in the `STYLE` pretty, short or off")
	f.NoOptDefVal = string(jsonPretty)
	complete(c, "json", string(jsonPretty), string(jsonShort), string(jsonOff))
}

// Set implements pflag.Value.
func (m *jsonMode) Set(text string) error {
	if word := jsonMode(text); slices.Contains([]jsonMode{jsonOff, jsonPretty, jsonShort}, word) {
		*m = word
		return nil
	}
	return fmt.Errorf("%q is none of pretty, short and off", text)
}

// String implements pflag.Value.
func (m *jsonMode) String() string { return string(*m) }

// Type implements pflag.Value.
func (m *jsonMode) Type() string { return "style" }

// on says whether JSON was asked for.
func (m jsonMode) on() bool { return m == jsonPretty || m == jsonShort }

// among says whether a command line asks for JSON, as far as can be told.
func (m jsonMode) among(argv []string) bool {
	return m.on() || slices.ContainsFunc(argv, func(word string) bool {
		word, found := strings.CutPrefix(word, "--json")
		return found && (word == "" || word == "=pretty" || word == "=short")
	})
}

// printAs prints v as one object on standard output.
func (env *Env) printAs(m jsonMode, v any) error {
	if m != jsonShort {
		return env.printJSON(v)
	}
	e := json.NewEncoder(env.Stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
