package cli

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"inlay/internal/version"
)

// versionReport is what "inlay version --json" prints.
type versionReport struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
}

func newVersion(env *Env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of inlay",
		Long:    "Print the version of inlay.\n\nExit status: 0 done, 1 failed, 2 wrong usage.",
		Example: examples("for a bug report", "inlay version"),
		Args:    arguments(),
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			if asJSON {
				return env.printJSON(v)
			}
			text := "inlay " + v.Version
			if v.Revision != "" {
				text += " (" + v.Revision + ")"
			}
			fmt.Fprintf(env.Stdout, "%s, %s\n", text, v.Go)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.AddCommand(newVersionCompare(env))
	return c
}

// comparison is what "inlay version compare --json" prints.
type comparison struct {
	Left     string   `json:"left"`
	Right    string   `json:"right"`
	Relation string   `json:"relation"`
	Operator string   `json:"operator,omitempty"`
	Holds    *bool    `json:"holds,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

func newVersionCompare(env *Env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "compare A [OPERATOR] B",
		Short: "Compare two versions as systemd does",
		Long: lines(
			"Compare two versions, of anything, in the order by which systemd picks the newest",
			"file and stacks extensions (UAPI.10). Prints and ends as \"systemd-analyze",
			"compare-versions\" does: of two versions it prints how they stand; with an",
			"operator it prints nothing, and the exit status is the answer.",
			"",
			"The operators are lt, le, eq, ne, ge and gt, or <, <=, ==, !=, >= and >, which a",
			"shell needs in quotes. Write -- before versions that begin with a dash.",
			"",
			"Exit status: 0 the versions are equal, 11 A is newer, 12 A is older; with an",
			"operator 0 it holds, 1 it does not; 1 failed, 2 wrong usage.",
		),
		Example: lines(
			examples("a candidate comes before its release", "inlay version compare 1.30~rc1 1.30"),
			examples("in a script", "if inlay version compare \"$new\" gt \"$old\"; then echo update; fi"),
		),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 3 {
				return nil
			}
			return arguments("A", "B")(c, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			result := comparison{Left: args[0], Right: args[len(args)-1]}
			order := version.Compare(result.Left, result.Right)
			result.Relation = []string{"<", "==", ">"}[order+1]
			code := []int{exitOlder, exitDone, exitNewer}[order+1]
			if len(args) == 3 {
				holds, err := relation(args[1], order)
				if err != nil {
					return err
				}
				result.Operator, result.Holds = args[1], &holds
				code = map[bool]int{true: exitDone, false: exitFailed}[holds]
			}
			if err := env.printComparison(result, asJSON); err != nil {
				return err
			}
			return answered(code)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// relation says whether an operator holds between versions in that order. Its
// words are those of systemd-analyze.
func relation(operator string, order int) (bool, error) {
	switch operator {
	case "lt", "<":
		return order < 0, nil
	case "le", "<=":
		return order <= 0, nil
	case "eq", "==", "=":
		return order == 0, nil
	case "ne", "!=", "<>":
		return order != 0, nil
	case "ge", ">=":
		return order >= 0, nil
	case "gt", ">":
		return order > 0, nil
	}
	return false, usagef("use lt, le, eq, ne, ge or gt", "unknown operator %q", operator)
}

func (env *Env) printComparison(result comparison, asJSON bool) error {
	for _, v := range []string{result.Left, result.Right} {
		if !version.Clean(v) {
			result.Warnings = append(result.Warnings, fmt.Sprintf("%q has characters that versions do not have: they only part it", v))
		}
	}
	if asJSON {
		return env.printJSON(result)
	}
	env.warn(result.Warnings)
	if result.Operator == "" {
		fmt.Fprintf(env.Stdout, "%s %s %s\n", shown(result.Left), result.Relation, shown(result.Right))
	}
	return nil
}

// shown makes a version visible where it is empty, and harmless to a terminal.
func shown(v string) string {
	if v == "" {
		return "''"
	}
	return printable(v)
}

// buildVersion reads what the Go toolchain recorded in the binary.
func buildVersion() versionReport {
	v := versionReport{Version: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Go = info.GoVersion
	v.Version = info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}
