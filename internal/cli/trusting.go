package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/config"
	"inlay/internal/hint"
	"inlay/internal/trust"
)

// trustOptions are the flags that say whom to trust, and with what policy.
type trustOptions struct {
	root         string
	configs      []string
	certificates []string
	folders      []string
	firmware     bool
	efivars      string
	vendorCAs    bool
	chains       bool
	validDates   bool
	pins         []string
	denyLists    []string
	policy       string
}

func (o *trustOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.root, "root", "/", "look for the configuration, anchors and firmware below `DIR`")
	f.StringArrayVar(&o.configs, "config", nil, "read this configuration `FILE`, below the root, instead of the machine's (may be repeated)")
	f.StringArrayVar(&o.certificates, "certificate", nil, "trust the certificates in `FILE` instead of the machine's anchors (may be repeated)")
	f.StringArrayVar(&o.folders, "trust-dir", nil, "trust the *.crt files in `DIR`, below the root, instead (may be repeated)")
	f.BoolVar(&o.firmware, "firmware", false, "trust PK, KEK and db of the firmware, less dbx, instead or as well")
	f.StringVar(&o.efivars, "efivars", "", "with --firmware, read its variables from `DIR`, below the root (default: sys/firmware/efi/efivars)")
	f.BoolVar(&o.vendorCAs, "trust-vendor-cas", false, "with --firmware, also trust vendors' authorities for boot loaders, such as Microsoft's")
	f.BoolVar(&o.chains, "allow-chains", false, "also trust signers whose certificate an anchor has issued")
	f.BoolVar(&o.validDates, "require-valid-dates", false, "refuse signers whose certificate is not valid today")
	f.StringArrayVar(&o.pins, "pin", nil, "of all anchors, trust only the one with this SHA-256 `FINGERPRINT` (may be repeated)")
	f.StringArrayVar(&o.denyLists, "deny-list", nil, "refuse the root hashes in `FILE`, which FILE.p7s signs (may be repeated)")
	f.StringVar(&o.policy, "policy", "", "what an image must have: signed, verity, any, or an image policy of systemd (default: the configuration's, or signed)")
	complete(c, "policy", "signed", "verity", "any")
}

// judge is what the flags and the configuration come to.
type judge struct {
	anchors *trust.Set
	policy  trust.Policy
}

// named says whether the command line names anchors of its own. Then the
// machine's do not count, nor its configuration: who asks about one key wants no
// answer about another. Its deny lists still do.
func (o *trustOptions) named() bool {
	return len(o.certificates) > 0 || len(o.folders) > 0 || o.firmware
}

// load collects the anchors. What the command line names must be there; what
// the machine has may be broken, which is said and adds no trust.
func (o *trustOptions) load(ctx context.Context, env *Env) (*judge, error) {
	root, err := openRoot(o.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	c, err := o.configuration(env, root)
	if err != nil {
		return nil, err
	}
	t, err := c.TrustOptions(root)
	if err != nil {
		return nil, err
	}
	var problems []trust.Problem
	// Without anything that is asked for, the answer is that of the boot step.
	if !o.named() && len(o.configs) == 0 && onTrustedBoot(root) {
		s := &system{root: root, host: root}
		if t, problems, _, err = s.trustedOptions(nil); err != nil {
			return nil, err
		}
		c = s.config
	}
	if o.named() {
		t.Folders = c.Trust.Folders // without systemd's
		problems = o.revocations(env, root, &t)
	}
	o.validDates = o.validDates || isTrue(c.Trust.ValidDates)
	t.Firmware = t.Firmware || o.firmware
	t.VendorCAs = t.VendorCAs || o.vendorCAs
	if !t.Firmware && (o.efivars != "" || o.vendorCAs) {
		return nil, usagef("pass --firmware too", "--efivars and --trust-vendor-cas are about the firmware's keys, which are not asked for")
	}
	t.Chains = t.Chains || o.chains
	t.Fingerprints = append(t.Fingerprints, o.pins...)
	if err := o.add(ctx, env, root, &t); err != nil {
		return nil, err
	}
	j := new(judge)
	if c.Policy != nil {
		j.policy = *c.Policy
	}
	if o.policy != "" {
		if j.policy, err = trust.ParsePolicy(o.policy); err != nil {
			return nil, usage(err)
		}
	}
	if j.anchors, err = trust.Load(t); err != nil {
		return nil, usage(err)
	}
	j.anchors.Problems = append(j.anchors.Problems, problems...)
	for _, name := range o.folders {
		if !o.certificateIn(root, name) {
			j.anchors.Problems = append(j.anchors.Problems, trust.Problem{Origin: name, Text: "no *.crt file is in it: nobody is trusted by it"})
		}
	}
	return j, nil
}

// certificateIn says whether a folder that --trust-dir names has any file that
// counts, as far as can be told.
func (o *trustOptions) certificateIn(root *os.Root, name string) bool {
	below, err := o.below(name)
	if err != nil {
		return true
	}
	entries, err := fs.ReadDir(root.FS(), filepath.ToSlash(below))
	return err != nil || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.HasSuffix(e.Name(), ".crt") })
}

// revocations gives t the deny lists of the machine, and those who may sign them,
// where the command line names whom to trust: what was taken back stays so,
// whoever's signature is asked about.
func (o *trustOptions) revocations(env *Env, root *os.Root, t *trust.Options) []trust.Problem {
	t.DenyAnchors.Folders = trust.DefaultFolders()
	c, err := config.Load(root, config.Options{Default: true, User: env.User})
	if err == nil {
		var machine trust.Options
		if machine, err = c.TrustOptions(root); err == nil {
			t.DenyAnchors = machine.Places()
			t.DenyLists = append(t.DenyLists, machine.DenyLists...)
			return nil
		}
	}
	return []trust.Problem{{Origin: "configuration", Text: "its deny lists are not known: " + err.Error()}}
}

// configuration reads the files that --config names or, unless the command line
// names anchors of its own, those of the machine.
func (o *trustOptions) configuration(env *Env, root *os.Root) (*config.Config, error) {
	var files []string
	for _, name := range o.configs {
		below, err := o.below(name)
		if err != nil {
			return nil, err
		}
		if _, err := root.Lstat(below); errors.Is(err, fs.ErrNotExist) {
			return nil, notFound(fmt.Errorf("reading the configuration %q: %w", name, fs.ErrNotExist))
		}
		files = append(files, below)
	}
	return config.Load(root, config.Options{User: env.User, Files: files, Default: len(files) == 0 && !o.named()})
}

// add puts what the command line names into t.
func (o *trustOptions) add(ctx context.Context, env *Env, root *os.Root, t *trust.Options) error {
	for _, name := range o.certificates {
		text, err := env.readTrustFile(ctx, "--certificate", name)
		if err != nil {
			return err
		}
		if standardInput(name) {
			name = "standard input"
		}
		t.Given = append(t.Given, trust.Given{Origin: name, PEM: text})
	}
	for _, name := range o.denyLists {
		text, err := env.readTrustFile(ctx, "--deny-list", name)
		if err != nil {
			return err
		}
		signature, err := env.readTrustFile(ctx, "--deny-list", name+".p7s")
		if err != nil {
			return hint.Default(err, "a deny list counts only with its signature beside it: NAME.p7s")
		}
		t.DenyLists = append(t.DenyLists, trust.DenyFile{Origin: name, Text: text, Signature: signature})
	}
	for _, name := range o.folders {
		below, err := o.folder(root, "--trust-dir", name, "pass a file with --certificate")
		if err != nil {
			return err
		}
		t.Folders = append(t.Folders, below)
	}
	if o.efivars == "" {
		return nil
	}
	var err error
	t.EFIVars, err = o.folder(root, "--efivars", o.efivars, "name a folder with a file for each variable")
	return err
}

// folder is the path below the root of a folder that a flag names. Absolute links
// are for whoever reads it to follow, inside the root.
func (o *trustOptions) folder(root *os.Root, flag, name, advice string) (string, error) {
	below, err := o.below(name)
	if err != nil {
		return "", err
	}
	info, err := root.Stat(below)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", notFound(fmt.Errorf("reading the folder %q: %w", name, fs.ErrNotExist))
	case err == nil && !info.IsDir():
		return "", usagef(advice, "%s %q is no folder", flag, name)
	}
	return below, nil
}

// below turns a folder of the command line into one below the root. A relative
// one is relative to here, unless there is another root.
func (o *trustOptions) below(name string) (string, error) {
	if filepath.Clean(o.root) == "/" {
		absolute, err := filepath.Abs(name)
		if err != nil {
			return "", err
		}
		name = absolute
	}
	name = strings.TrimLeft(filepath.Clean(name), "/")
	if name == "" {
		name = "."
	}
	if !filepath.IsLocal(name) {
		return "", usagef("name a folder below the root", "%q leads out of the root", name)
	}
	return name, nil
}
