package cli

import (
	"fmt"
	"strings"

	"inlay/internal/build"
	"inlay/internal/inspect"
)

func (env *Env) printReport(r *inspect.Report, list bool) {
	length := ""
	if r.Size > 0 {
		length = size(r.Size)
	}
	facts := []fact{
		{"image", r.Name},
		{"form", r.Form},
		{"size", length},
		{"kind", r.Kind},
		{"name", r.ExtensionName},
		{"architecture", r.Architecture},
		{"compression", strings.Join(r.Compression, ", ")},
		{"needs", linux((*build.Kernel)(r.Kernel))},
		{"image UUID", r.ImageUUID},
		{"host name", r.Hostname},
		{"machine id", r.MachineID},
		{"machine info", strings.Join(r.MachineInfo, " ")},
		{"os release", strings.Join(r.OSRelease, " ")},
		{"initrd release", strings.Join(r.InitrdRelease, " ")},
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
	if r.Uses != nil {
		fmt.Fprintln(env.Stdout, "\nuse as")
		for _, u := range r.List() {
			fmt.Fprintf(env.Stdout, "  %-3s  %s\n", yesNo(u.Fit), u.What)
		}
	}
	if len(r.Mounts) > 0 {
		fmt.Fprintln(env.Stdout)
	}
	for _, m := range r.Mounts {
		fmt.Fprintf(env.Stdout, "%2s  %s  %-15s  %-36s  %-22s  %-21s  %10s\n",
			orDash(m.Number), m.ReadWrite, m.Designator, orDash(m.UUID), printable(orDash(m.Label)), orDash(m.FileSystem), size(m.Size))
	}
	if list {
		env.printFiles(r.Files)
	}
	for _, u := range r.Unread {
		fmt.Fprintf(env.Stderr, "warning: not read: %s\n", printable(u))
	}
}

// printFiles prints files as ls(1) does.
func (env *Env) printFiles(files []inspect.File) {
	fmt.Fprintln(env.Stdout)
	for _, f := range files {
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
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// orDash is what p points to, or a dash for nothing.
func orDash[T any](p *T) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprint(*p)
}
