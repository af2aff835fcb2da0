package cli

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
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
	return c
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
