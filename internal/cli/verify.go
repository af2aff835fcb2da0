package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/trust"
	"inlay/internal/verify"
)

type verifyOptions struct {
	images    []string
	trust     trustOptions
	depth     string
	forHost   bool
	osRelease string
	arch      string
	quiet     bool
	json      bool
}

func newVerify(env *Env) *cobra.Command {
	o := verifyOptions{}
	c := &cobra.Command{
		Use:   "verify IMAGE...",
		Short: "Say whether an extension can be trusted, and why",
		Long: lines(
			"Check extensions from the partition table inwards: both copies of the table, the",
			"hash tree's superblock, every statement of the root hash, the deny lists, the",
			"signature, every block of the data, the release file, the architecture. The first",
			"check that fails refuses. Nothing is mounted and no root is needed.",
			"",
			"Trusted are the *.crt files in /etc/verity.d, /run/verity.d, /usr/local/lib/verity.d and",
			"/usr/lib/verity.d, and what the configuration adds (/etc/inlay/config.yaml). With",
			"--certificate, --trust-dir or --firmware, only what they name is trusted.",
			"",
			"IMAGE may be a disk image, a naked file system with a .verity and .roothash file",
			"beside it, or a folder. Whether this host would take the extension is judged only",
			"with --for-host.",
			"",
			"Exit status: 0 all are good, 1 one could not be read, 2 wrong usage, 3 one is refused,",
			"4 one is not there, 5 one is not for this host. Of several, 3 goes before 1, 4 and 5.",
		),
		Example: lines(
			examples("by the keys that this machine trusts", "inlay verify /var/lib/extensions/*.raw"),
			examples("by one key, anywhere", "inlay verify k3s.sysext.raw --certificate keys/db.pem"),
			examples("as trusted boot does", "inlay verify k3s.sysext.raw --firmware --for-host"),
		),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("usage: "+c.UseLine(), "missing IMAGE")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.images = args
			return runVerify(c.Context(), env, o)
		},
	}
	f := c.Flags()
	o.trust.flags(c)
	f.StringVar(&o.depth, "depth", string(verify.Full), "read every block (full) or only the top of the hash tree (top)")
	f.BoolVar(&o.forHost, "for-host", false, "also judge whether the host at the root would take it")
	f.StringVar(&o.osRelease, "os-release", "", "the host is the one that this os-release `FILE` describes; implies --for-host")
	f.StringVar(&o.arch, "arch", "", "the host is of this `ARCHITECTURE` (default: this machine's)")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print one line for each image")
	f.BoolVar(&o.json, "json", false, "print the verdicts as JSON")
	complete(c, "depth", string(verify.Full), string(verify.Top))
	return c
}

// verifyReport is the JSON of the command.
type verifyReport struct {
	Policy   string            `json:"policy"`
	Trusted  []anchorReport    `json:"trusted"`
	Problems []trust.Problem   `json:"problems,omitempty"`
	Images   []*verify.Verdict `json:"images"`
}

type anchorReport struct {
	Subject     string `json:"subject"`
	Fingerprint string `json:"fingerprint"`
	Origin      string `json:"origin"`
}

func runVerify(ctx context.Context, env *Env, o verifyOptions) error {
	depth, err := choice("--depth", o.depth, verify.Full, verify.Top)
	if err != nil {
		return err
	}
	if err := o.checkInput(); err != nil {
		return err
	}
	j, err := o.trust.load(ctx, env)
	if err != nil {
		return err
	}
	v := verify.Options{
		Anchors: j.anchors, Policy: j.policy, Depth: depth,
		Now: env.Now(), RequireValidDates: o.trust.validDates,
	}
	if v.Host, err = o.host(ctx, env); err != nil {
		return err
	}
	report := verifyReport{Policy: j.policy.String(), Trusted: []anchorReport{}, Problems: j.anchors.Problems}
	for _, a := range j.anchors.Anchors {
		report.Trusted = append(report.Trusted, anchorReport{a.Certificate.Subject.String(), fmt.Sprintf("%x", a.Fingerprint()), a.Origin})
	}
	if !o.json {
		for _, p := range j.anchors.Problems {
			env.warn([]string{p.Origin + ": " + p.Text})
		}
	}
	code := exitDone
	for i, path := range o.images {
		verdict, err := env.verifyOne(ctx, path, v, o.quiet || o.json)
		if err != nil {
			return err
		}
		report.Images = append(report.Images, verdict)
		if !o.json {
			if i > 0 && !o.quiet {
				fmt.Fprintln(env.Stdout)
			}
			env.printVerdict(verdict, report.Trusted, o.quiet)
		}
		code = worse(code, verdictCode(verdict))
	}
	if o.json {
		if err := env.printJSON(report); err != nil {
			return err
		}
	}
	return answered(code)
}

// verifyOne gives the verdict on one path, whatever is there.
func (env *Env) verifyOne(ctx context.Context, path string, v verify.Options, quiet bool) (*verify.Verdict, error) {
	// The extension is called as its folder is, which these names don't tell.
	if base := filepath.Base(path); path != "" && (base == "." || base == "..") {
		if absolute, err := filepath.Abs(path); err == nil {
			path = absolute
		}
	}
	s, err := verify.Open(path)
	if err != nil {
		return verify.Unopened(path, v, err), nil
	}
	p := env.newProgress(quiet)
	defer p.end()
	p.what = "verifying"
	v.Progress = p.bytes
	defer func() { _ = s.Close() }() // it was only read
	return verify.Run(ctx, s, v)
}

// host is the host that --for-host and --os-release name, or nil.
func (o *verifyOptions) host(ctx context.Context, env *Env) (*extension.Host, error) {
	if !o.forHost && o.osRelease == "" {
		if o.arch != "" {
			return nil, usagef("pass --for-host or --os-release too", "--arch is about a host, which is not asked for")
		}
		return nil, nil
	}
	word := extension.ArchitectureWord(env.Architecture)
	if o.arch != "" {
		a, err := extension.ArchitectureNamed(o.arch)
		if err != nil {
			return nil, usage(err)
		}
		word = a.Word
	}
	if o.osRelease != "" {
		text, err := env.readTrustFile(ctx, "--os-release", o.osRelease)
		if err != nil {
			return nil, err
		}
		host, err := extension.HostFrom(text, word)
		if err != nil {
			return nil, hint.Default(fmt.Errorf("reading %q: %w", o.osRelease, err), "name the /etc/os-release of a host")
		}
		return &host, nil
	}
	root, err := openRoot(o.trust.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	host, err := extension.HostAt(content.Folder(root), word)
	if err != nil {
		return nil, err
	}
	return &host, nil
}

// verdictCode is the exit code for one verdict.
func verdictCode(v *verify.Verdict) int {
	switch v.Result {
	case verify.Good:
		return exitDone
	case verify.Refused:
		return exitRefused
	case verify.Incompatible:
		return exitIncompatible
	case verify.Missing:
		return exitNotFound
	}
	return exitFailed
}

// worse returns the exit code that matters more.
func worse(a, b int) int {
	for _, code := range []int{exitRefused, exitFailed, exitNotFound, exitIncompatible} {
		if a == code || b == code {
			return code
		}
	}
	return exitDone
}
