package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/config"
	"inlay/internal/hint"
	"inlay/internal/trust"
)

// maxTrustFile bounds a file of certificates or a deny list, in bytes.
const maxTrustFile = 4 << 20

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
	f.StringVar(&o.efivars, "efivars", "", "read the firmware's variables from `DIR`, below the root (default: sys/firmware/efi/efivars)")
	f.BoolVar(&o.vendorCAs, "trust-vendor-cas", false, "also trust vendors' authorities for boot loaders in the firmware, such as Microsoft's")
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
func (o *trustOptions) load() (*judge, error) {
	root, err := os.OpenRoot(o.root)
	if err != nil {
		return nil, notFound(fmt.Errorf("opening the root: %w", err))
	}
	defer root.Close()
	c, err := o.configuration(root)
	if err != nil {
		return nil, err
	}
	t, err := c.TrustOptions(root)
	if err != nil {
		return nil, err
	}
	if o.named() {
		t.Folders = c.Trust.Folders // without systemd's
	}
	t.Firmware = t.Firmware || o.firmware
	t.VendorCAs = t.VendorCAs || o.vendorCAs
	t.Chains = t.Chains || o.chains
	t.Fingerprints = append(t.Fingerprints, o.pins...)
	if err := o.add(&t); err != nil {
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
	return j, nil
}

// configuration reads the files that --config names or, unless the command line
// names anchors of its own, those of the machine.
func (o *trustOptions) configuration(root *os.Root) (*config.Config, error) {
	var files []string
	for _, name := range o.configs {
		below, err := o.below(name)
		if err != nil {
			return nil, err
		}
		files = append(files, below)
	}
	return config.Load(root, config.Options{Files: files, Default: len(files) == 0 && !o.named()})
}

// add puts what the command line names into t.
func (o *trustOptions) add(t *trust.Options) error {
	for _, name := range o.certificates {
		text, err := readTrustFile(name)
		if err != nil {
			return err
		}
		t.Given = append(t.Given, trust.Given{Origin: name, PEM: text})
	}
	for _, name := range o.denyLists {
		text, err := readTrustFile(name)
		if err != nil {
			return err
		}
		signature, err := readTrustFile(name + ".p7s")
		if err != nil {
			return hint.Default(err, "a deny list counts only with its signature beside it: NAME.p7s")
		}
		t.DenyLists = append(t.DenyLists, trust.DenyFile{Origin: name, Text: text, Signature: signature})
	}
	for _, name := range o.folders {
		below, err := o.below(name)
		if err != nil {
			return err
		}
		info, err := os.Stat(filepath.Join(o.root, below))
		switch {
		case err != nil:
			return imageError(err)
		case !info.IsDir():
			return usagef("pass a file with --certificate", "--trust-dir %q is no folder", name)
		}
		t.Folders = append(t.Folders, below)
	}
	if o.efivars != "" {
		below, err := o.below(o.efivars)
		if err != nil {
			return err
		}
		t.EFIVars = below
	}
	return nil
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

// readTrustFile reads a file that the command line names.
func readTrustFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound(err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTrustFile+1))
	if err == nil && len(text) > maxTrustFile {
		err = errors.New("it is too large")
	}
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	return text, nil
}
