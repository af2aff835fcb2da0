package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/inspect"
)

func newInspect(env *Env) *cobra.Command {
	var list, asJSON bool
	c := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Show what is in an extension image",
		Long: lines(
			"Show the partitions, root hash, release file and signer of IMAGE, and with --list",
			"its files. Nothing is mounted and nothing is verified: a signature that is",
			"present may be anyone's. Release file and files are read from uncompressed EROFS;",
			"of an image with another file system everything else is shown.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such image.",
		),
		Example: lines(
			examples("an overview", "inlay inspect k3s.sysext.raw"),
			examples("all files, for a program", "inlay inspect k3s.sysext.raw --list --json"),
		),
		Args: arguments("IMAGE"),
		RunE: func(_ *cobra.Command, args []string) error {
			report, err := inspect.Image(args[0], inspect.Options{Files: list})
			if err != nil {
				return imageError(err)
			}
			if asJSON {
				return env.printJSON(report)
			}
			env.printReport(report, list)
			return nil
		},
	}
	c.Flags().BoolVar(&list, "list", false, "list the files")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (env *Env) printReport(r *inspect.Report, list bool) {
	facts := []fact{
		{"image", r.Name},
		{"size", size(r.Size)},
		{"kind", r.Kind},
		{"name", r.ExtensionName},
		{"architecture", r.Architecture},
		{"image UUID", r.ImageUUID},
		{"release", strings.Join(append(r.SysextRelease, r.ConfextRelease...), " ")},
		{"root hash", r.RootHash},
		{"signature", r.Signature + " (not verified)"},
	}
	if r.Signature != "present" {
		facts[len(facts)-1].value = r.Signature
	}
	if s := r.Signer; s != nil {
		who := s.Subject
		if who == "" {
			who = "serial " + s.Serial + " of " + s.Issuer
		}
		facts = append(facts, fact{"signer", who}, fact{"fingerprint", s.Fingerprint})
		if s.NotBefore != nil {
			facts = append(facts, fact{"valid", s.NotBefore.UTC().Format("2006-01-02") + " to " + s.NotAfter.UTC().Format("2006-01-02")})
		}
	}
	env.printFacts(facts)
	fmt.Fprintln(env.Stdout)
	for _, m := range r.Mounts {
		fmt.Fprintf(env.Stdout, "%2d  %s  %-15s  %s  %-22s  %-21s  %10s\n",
			m.Number, m.ReadWrite, m.Designator, m.UUID, printable(m.Label), m.FileSystem, size(m.Size))
	}
	if list {
		fmt.Fprintln(env.Stdout)
	}
	for _, f := range r.Files {
		what := printable(f.Path)
		if f.Target != "" {
			what += " -> " + printable(f.Target)
		}
		length := fmt.Sprint(f.Size)
		if f.Device != "" {
			length = f.Device
		}
		fmt.Fprintf(env.Stdout, "%s %3d %5d %5d %12s %s %s\n", f.Mode, f.Links, f.UID, f.GID, length, f.MTime.Format("2006-01-02 15:04:05"), what)
	}
	for _, u := range r.Unread {
		fmt.Fprintf(env.Stderr, "warning: not read: %s\n", printable(u))
	}
}
