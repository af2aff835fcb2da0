package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"inlay/internal/secureboot"
)

type keysEnrollOptions struct {
	efivars string
	dbx     string
	dryRun  bool
	asJSON  bool
}

// enrollReport is what "inlay keys enroll --json" prints.
type enrollReport struct {
	EFIVars string        `json:"efivars"`
	DryRun  bool          `json:"dryRun"`
	Written []writeReport `json:"written"`
	// SetupMode is as the firmware says afterwards; absent if it does not.
	SetupMode *bool    `json:"setupMode,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
}

type writeReport struct {
	Variable     string `json:"variable"`
	File         string `json:"file"`
	Certificates int    `json:"certificates"`
	Hashes       int    `json:"hashes"`
}

func newKeysEnroll(env *Env) *cobra.Command {
	var o keysEnrollOptions
	c := &cobra.Command{
		Use:   "enroll DIR",
		Short: "Put a set of keys into the firmware, or revocations",
		Long: lines(
			"Write db, KEK and then PK of the set in DIR to the firmware of this machine, which",
			"must be in setup mode. The set is checked before anything is written. With PK setup",
			"mode ends; from the next boot on the machine starts only what db's keys have signed.",
			"",
			"With --dbx, and without DIR, add the revocations of a dbx.auth that inlay keys revoke",
			"made; that needs no setup mode.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 not found.",
		),
		Example: lines(
			examples("would it work?", "inlay keys enroll keys --dry-run"),
			examples("in setup mode, as root", "inlay keys enroll keys"),
			examples("revoke what a stolen key has signed", "inlay keys enroll --dbx dbx.auth"),
		),
		Args: func(c *cobra.Command, args []string) error {
			if o.dbx != "" {
				return arguments()(c, args)
			}
			return arguments("DIR")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			dir := ""
			if len(args) > 0 {
				dir = args[0]
			}
			return runKeysEnroll(c.Context(), env, o, dir)
		},
	}
	f := c.Flags()
	f.StringVar(&o.efivars, "efivars", efivarsFolder, "`folder` of the firmware's variables")
	f.StringVar(&o.dbx, "dbx", "", "add the revocations of the update in `FILE`")
	f.BoolVar(&o.dryRun, "dry-run", false, "check everything and write nothing")
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	return c
}

func runKeysEnroll(ctx context.Context, env *Env, o keysEnrollOptions, dir string) error {
	report := enrollReport{EFIVars: o.efivars, DryRun: o.dryRun, Written: []writeReport{}}
	enroll := func(root *os.Root) ([]secureboot.Written, error) {
		set, err := secureboot.OpenSet(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, notFound(err)
		}
		if err != nil {
			return nil, err
		}
		report.Warnings = set.Warnings
		if set.HasAuth("dbx") {
			report.Warnings = append(report.Warnings, "dbx.auth of the set is not written; add it afterwards: inlay keys enroll --dbx "+filepath.Join(dir, "dbx.auth"))
		}
		return secureboot.Enroll(ctx, root, set, secureboot.EnrollOptions{DryRun: o.dryRun})
	}
	if o.dbx != "" {
		auth, err := env.readTrustFile(ctx, "--dbx", o.dbx)
		if err != nil {
			return err
		}
		enroll = func(root *os.Root) ([]secureboot.Written, error) {
			return secureboot.AppendRevocations(ctx, root, auth, secureboot.EnrollOptions{DryRun: o.dryRun})
		}
	}
	root, err := openEFIVars(o.efivars)
	if err != nil {
		return err
	}
	defer root.Close()
	written, err := enroll(root)
	if err != nil {
		if len(written) > 0 {
			err = fmt.Errorf("%w (written before: %s)", err, variablesOf(written))
		}
		return err
	}
	for _, w := range written {
		report.Written = append(report.Written, writeReport(w))
	}
	// It is for information only: all has been written.
	if setup, err := secureboot.SetupMode(root); err == nil {
		report.SetupMode = setup
	}
	if o.asJSON {
		return env.printJSON(report)
	}
	env.printEnrolled(report, o.dbx != "")
	return nil
}

func variablesOf(written []secureboot.Written) string {
	text := ""
	for _, w := range written {
		if text != "" {
			text += ", "
		}
		text += w.Variable
	}
	return text
}

func (env *Env) printEnrolled(r enrollReport, revoked bool) {
	verb := "written"
	if r.DryRun {
		verb = "would be written"
	}
	for _, w := range r.Written {
		what := count(w.Certificates, "certificate")
		if w.Hashes > 0 {
			what += " and " + count(w.Hashes, "digest")
		}
		fmt.Fprintf(env.Stdout, "%s: %s %s\n", w.Variable, what, verb)
	}
	env.warn(r.Warnings)
	switch {
	case r.DryRun:
	case revoked:
		fmt.Fprintln(env.Stderr, "note: from the next boot on the firmware refuses what was revoked")
	case r.SetupMode != nil && *r.SetupMode:
		fmt.Fprintln(env.Stderr, "note: the firmware still says that it is in setup mode; it may say otherwise after the next boot")
	default:
		fmt.Fprintln(env.Stderr, "note: setup mode is over; from the next boot on the machine starts only what the keys in db have signed")
	}
}
