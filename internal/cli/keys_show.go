package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"inlay/internal/guid"
	"inlay/internal/hint"
	"inlay/internal/secureboot"
)

// efivarsFolder is where Linux shows the firmware's variables.
const efivarsFolder = "/sys/firmware/efi/efivars"

type keysShowOptions struct {
	firmware bool
	efivars  string
	asJSON   bool
}

// showReport is what "inlay keys show --json" prints.
type showReport struct {
	SecureBoot *bool        `json:"secureBoot,omitempty"`
	SetupMode  *bool        `json:"setupMode,omitempty"`
	Files      []fileReport `json:"files"`
	Warnings   []string     `json:"warnings,omitempty"`
}

type fileReport struct {
	Origin   string          `json:"origin"`
	Form     secureboot.Form `json:"form"`
	Variable string          `json:"variable,omitempty"`
	Update   *updateReport   `json:"update,omitempty"`
	Entries  []entryReport   `json:"entries"`
}

type updateReport struct {
	Time        string              `json:"time"`
	Appends     bool                `json:"appends"`
	Standing    secureboot.Standing `json:"standing"`
	Signer      string              `json:"signer,omitempty"`
	Fingerprint string              `json:"fingerprint,omitempty"`
	Reason      string              `json:"reason,omitempty"`
}

type entryReport struct {
	Type        string     `json:"type"`
	Owner       string     `json:"owner,omitempty"`
	Subject     string     `json:"subject,omitempty"`
	Issuer      string     `json:"issuer,omitempty"`
	Serial      string     `json:"serial,omitempty"`
	Fingerprint string     `json:"fingerprint,omitempty"`
	NotBefore   *time.Time `json:"notBefore,omitempty"`
	NotAfter    *time.Time `json:"notAfter,omitempty"`
	Expired     bool       `json:"expired"`
	Authority   bool       `json:"authority"`
	Hash        string     `json:"hash,omitempty"`
	Since       *time.Time `json:"since,omitempty"`
	Problem     string     `json:"problem,omitempty"`
}

func newKeysShow(env *Env) *cobra.Command {
	var o keysShowOptions
	c := &cobra.Command{
		Use:   "show FILE...",
		Short: "Show whose keys are in files or in the firmware, and who signed what",
		Long: lines(
			"Show what certificates (.pem, .der, .crt), signature lists (.esl), signed updates",
			"(.auth) and files of efivarfs hold; of a folder, its set of keys. The signature of",
			"an update is checked by the certificates in its folder and in all folders that are",
			"named. --firmware shows the keys of this machine's firmware. Nothing is judged by",
			"its date, as firmware doesn't either.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 not found.",
		),
		Example: lines(
			examples("a set of keys", "inlay keys show keys"),
			examples("what this machine starts", "inlay keys show --firmware"),
		),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && !o.firmware {
				return usagef("usage: "+c.UseLine(), "missing FILE or --firmware")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return runKeysShow(env, o, args) },
	}
	f := c.Flags()
	f.BoolVar(&o.firmware, "firmware", false, "show the keys of this machine's firmware")
	f.StringVar(&o.efivars, "efivars", efivarsFolder, "with --firmware, `folder` of its variables")
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	return c
}

func runKeysShow(env *Env, o keysShowOptions, names []string) error {
	if !o.firmware && o.efivars != efivarsFolder {
		return usagef("pass --firmware too", "--efivars is about the firmware's keys, which are not asked for")
	}
	var all []*secureboot.Description
	report := showReport{Files: []fileReport{}}
	var folders []string
	for _, name := range names {
		found, err := secureboot.DescribePath(name)
		if errors.Is(err, fs.ErrNotExist) {
			return notFound(err)
		}
		if err != nil {
			return err
		}
		all = append(all, found...)
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			folders = append(folders, filepath.Dir(name))
			continue
		}
		folders = append(folders, name)
		report.Warnings = append(report.Warnings, setWarnings(name)...)
	}
	neighbours := secureboot.ReadNeighbours(folders...)
	for _, d := range all {
		d.Judge(neighbours)
	}
	if o.firmware {
		state, err := describeFirmware(o.efivars)
		if err != nil {
			return err
		}
		report.SecureBoot, report.SetupMode = state.SecureBoot, state.SetupMode
		all = append(all, state.Variables...)
	}
	for _, d := range all {
		report.Files = append(report.Files, reportFile(d, env.Now()))
	}
	if o.asJSON {
		return env.printJSON(report)
	}
	env.printKeys(report, o.firmware)
	return nil
}

// setWarnings says what does not fit in a folder that is a set of keys.
func setWarnings(dir string) []string {
	set, err := secureboot.OpenSet(dir)
	if err != nil {
		return []string{strings.Join(append([]string{err.Error()}, hint.Of(err)...), "; ")}
	}
	return set.Warnings
}

func describeFirmware(folder string) (*secureboot.FirmwareState, error) {
	root, err := openEFIVars(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return secureboot.DescribeFirmware(root)
}

// openEFIVars opens the folder of the firmware's variables.
func openEFIVars(folder string) (*os.Root, error) {
	root, err := os.OpenRoot(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound(hint.Wrap(fmt.Errorf("reading the firmware's variables: %q is not there", folder),
			"boot the machine by UEFI, and mount them: mount -t efivarfs efivarfs "+efivarsFolder))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the firmware's variables: %w", err)
	}
	return root, nil
}

func reportFile(d *secureboot.Description, now time.Time) fileReport {
	r := fileReport{Origin: d.Origin, Form: d.Form, Variable: d.Variable, Entries: []entryReport{}}
	if u := d.Update; u != nil {
		r.Update = &updateReport{Time: u.Time.String(), Appends: u.Appends, Standing: u.Standing, Signer: u.Claim, Reason: u.Reason}
		if u.Signer != nil {
			r.Update.Fingerprint = fingerprint(u.Signer.Raw)
		}
	}
	for _, e := range d.Entries {
		r.Entries = append(r.Entries, reportEntry(e, now))
	}
	return r
}

func reportEntry(e secureboot.DescribedEntry, now time.Time) entryReport {
	r := entryReport{Type: e.Type, Hash: e.Hash, Problem: e.Problem}
	if e.Owner != (guid.GUID{}) {
		r.Owner = e.Owner.String()
	}
	if !e.Since.IsZero() {
		r.Since = &e.Since
	}
	if c := e.Certificate; c != nil {
		r.Subject, r.Issuer, r.Serial = c.Subject.String(), c.Issuer.String(), c.SerialNumber.Text(16)
		r.Fingerprint = fingerprint(c.Raw)
		r.NotBefore, r.NotAfter = &c.NotBefore, &c.NotAfter
		r.Expired = now.After(c.NotAfter)
		r.Authority = c.IsCA
	}
	return r
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
