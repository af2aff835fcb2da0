package cli

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/secureboot"
)

type keysRevokeOptions struct {
	keys   string
	set    secureboot.RevokeSetOptions
	asJSON bool
}

// revokeReport is what "inlay keys revoke --json" prints.
type revokeReport struct {
	Files    []string        `json:"files"`
	Revoked  []revokedReport `json:"revoked"`
	DBX      string          `json:"dbxSigner,omitempty"`
	Deny     string          `json:"denySigner,omitempty"`
	Warnings []string        `json:"warnings,omitempty"`
}

type revokedReport struct {
	Origin  string                 `json:"origin"`
	Kind    secureboot.RevokedKind `json:"kind"`
	Subject string                 `json:"subject,omitempty"`
	Digest  string                 `json:"digest"`
}

func newKeysRevoke(env *Env) *cobra.Command {
	var o keysRevokeOptions
	c := &cobra.Command{
		Use:   "revoke WHAT...",
		Short: "Take trust back: from certificates, EFI programs and extensions",
		Long: lines(
			"Revoke WHAT: certificates (.pem, .der, .crt), EFI programs or a folder of them, images",
			"of extensions, or their root hashes. Certificates and programs go into dbx.auth, an",
			"update that the set's KEK signs and that adds to the firmware's dbx; extensions go",
			"into a deny list for nodes, signed by the key for extensions or by db. Nothing is",
			"revoked before these files are where they belong; the command says where that is.",
			"",
			"Exit status: 0 done, 1 failed (files exist, among other things), 2 wrong usage,",
			"4 not found.",
		),
		Example: lines(
			examples("a stolen key", "inlay keys revoke stolen.pem -k keys --output revoked"),
			examples("one kernel, and one extension", "inlay keys revoke old.efi k3s.sysext.raw -k keys --output revoked"),
		),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("usage: "+c.UseLine(), "missing WHAT")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return runKeysRevoke(env, o, args) },
	}
	f := c.Flags()
	f.StringVarP(&o.keys, "keys", "k", "keys", "`folder` of the set whose keys sign")
	f.StringVarP(&o.set.Dir, "output", "o", ".", "`folder` for the files, made if it is not there")
	f.BoolVar(&o.set.ByHash, "by-hash", false, "revoke certificates by their hash, which takes less room")
	f.StringVar(&o.set.DenyName, "deny-name", "revoked", "`name` of the deny list: NAME.deny")
	f.StringVar(&o.set.Reason, "reason", "", "`text` for each line of the deny list (default: the image's name)")
	f.BoolVar(&o.set.Force, "force", false, "replace files that exist")
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	return c
}

func runKeysRevoke(env *Env, o keysRevokeOptions, what []string) error {
	if o.set.DenyName == "" || o.set.DenyName != filepath.Base(o.set.DenyName) || strings.HasPrefix(o.set.DenyName, ".") {
		return usagef("give a name without slashes", "--deny-name does not take %q", o.set.DenyName)
	}
	epoch, err := env.epoch()
	if err != nil {
		return err
	}
	o.set.Time = env.Now().UTC()
	if epoch != nil {
		o.set.Time = *epoch
	}
	items, err := secureboot.ReadRevocations(what...)
	if errors.Is(err, fs.ErrNotExist) {
		return notFound(err)
	}
	if err != nil {
		return err
	}
	set, err := secureboot.OpenSet(o.keys)
	if errors.Is(err, fs.ErrNotExist) {
		return notFound(err)
	}
	if err != nil {
		return err
	}
	result, err := secureboot.RevokeWith(set, items, o.set)
	if err != nil {
		return err
	}
	result.Warnings = append(set.Warnings, result.Warnings...)
	report := revokeReport{Files: result.Files, Warnings: result.Warnings}
	if result.DBX != nil {
		report.DBX = result.DBX.Subject.String()
	}
	if result.Deny != nil {
		report.Deny = result.Deny.Subject.String()
	}
	for _, item := range items {
		r := revokedReport{Origin: item.Origin, Kind: item.Kind, Digest: hex.EncodeToString(item.Digest[:])}
		if item.Certificate != nil {
			r.Subject, r.Digest = item.Certificate.Subject.String(), fingerprint(item.Certificate.Raw)
		}
		report.Revoked = append(report.Revoked, r)
	}
	if o.asJSON {
		return env.printJSON(report)
	}
	env.printRevoked(report, o.set)
	return nil
}

func (env *Env) printRevoked(r revokeReport, o secureboot.RevokeSetOptions) {
	for _, f := range r.Files {
		fmt.Fprintln(env.Stdout, printable(f))
	}
	for _, item := range r.Revoked {
		fmt.Fprintf(env.Stdout, "%s: %s %s\n", printable(item.Origin), item.Kind, printable(cmp.Or(item.Subject, item.Digest)))
	}
	env.warn(r.Warnings)
	if r.DBX != "" {
		fmt.Fprintf(env.Stderr, "note: dbx.auth is signed by %s; on each machine: inlay keys enroll --dbx %s\n",
			printable(r.DBX), printable(filepath.Join(o.Dir, "dbx.auth")))
	}
	if r.Deny != "" {
		fmt.Fprintf(env.Stderr, "note: %[1]s.deny is signed by %[2]s, whom nodes must trust; put it and %[1]s.deny.p7s into /etc/inlay/deny.d\n",
			printable(o.DenyName), printable(r.Deny))
	}
}
