package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/bootstate"
	"inlay/internal/fetch"
	"inlay/internal/node"
	"inlay/internal/store"
	"inlay/internal/trust"
	"inlay/test/sample"
)

// TestRule: unsigned images come in only where nobody has asked for signatures.
func TestRule(t *testing.T) {
	t.Parallel()
	_, certificate := pair(t, "mine")
	for name, c := range map[string]struct {
		options       []option
		want, because string
	}{
		"nothing":                    {nil, "any", "no key"},
		"an empty set":               {[]option{trusting(t)}, "any", "no key"},
		"a key":                      {[]option{trusting(t, certificate)}, "signed", "keys to trust"},
		"a broken key":               {[]option{trusting(t, []byte("rubbish"))}, "signed", "keys to trust"},
		"a dbx that is broken":       {[]option{func(o *node.Options) { o.Anchors = &trust.Set{Problems: []trust.Problem{{Origin: "firmware dbx"}}} }}, "any", "no key"},
		"trusted boot":               {[]option{booted(bootstate.Report{TrustedBoot: true})}, "signed", "trusted boot"},
		"a UKI without Secure Boot":  {[]option{booted(bootstate.Report{UKI: true})}, "any", "no key"},
		"nothing is known of boot":   {[]option{func(o *node.Options) { o.State = nil }}, "any", "no key"},
		"configured over others":     {[]option{trusting(t, certificate), configured(t, "verity")}, "verity", "configuration"},
		"weaker on a trusted boot":   {[]option{booted(bootstate.Report{TrustedBoot: true}), configured(t, "verity")}, "signed", "trusted boot"},
		"stricter on a trusted boot": {[]option{booted(bootstate.Report{TrustedBoot: true}), configured(t, "root=signed:usr=absent")}, "root=signed:usr=absent", "configuration"},
		"configured to be strict":    {[]option{configured(t, "signed")}, "signed", "configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rule := boot(t, c.options...).Rule()
			if rule.Policy.String() != c.want || !strings.Contains(rule.Because, c.because) {
				t.Errorf("%s, since %s; want %s, since … %s", rule.Policy, rule.Because, c.want, c.because)
			}
		})
	}
	if (trust.Policy{}).String() != "signed" {
		t.Error("the zero policy is not the strictest")
	}
}

// TestReplacement: nothing takes the place of an image that would be weaker than
// that, or somebody else's.
func TestReplacement(t *testing.T) {
	t.Parallel()
	mine, certificate := pair(t, "mine")
	other, otherCertificate := pair(t, "other")
	open := configured(t, "any")
	const unsigned, foreign = "this one is not signed", "this one by CN=other"
	for name, c := range map[string]struct {
		old, now sample.Image
		options  []option
		loose    bool
		want     string // in the error; "" is none
	}{
		"unsigned by unsigned":             {now: sample.Image{}},
		"unsigned by signed":               {now: sample.Image{Signer: mine}},
		"signed by the same":               {old: sample.Image{Signer: mine}, now: sample.Image{Signer: mine}},
		"signed by unsigned":               {old: sample.Image{Signer: mine}, want: unsigned},
		"signed by another":                {old: sample.Image{Signer: mine}, now: sample.Image{Signer: other}, want: foreign},
		"signed, trusted, by unsigned":     {old: sample.Image{Signer: mine}, options: []option{trusting(t, certificate)}, want: unsigned},
		"signed, trusted, by another":      {old: sample.Image{Signer: mine}, now: sample.Image{Signer: other}, options: []option{trusting(t, certificate, otherCertificate)}, want: foreign},
		"signed, under a loose name":       {old: sample.Image{Signer: mine}, loose: true, want: unsigned},
		"signed by one with room for some": {old: sample.Image{Signer: mine}, now: sample.Image{Deferred: true}, want: unsigned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.old.Name, c.now.Name = "tool", "tool"
			c.now.Files = map[string]string{"usr/bin/new": "new"}
			m := boot(t, append(c.options, open)...)
			m.have(t, c.old)
			if c.loose {
				at := filepath.Join(m.root, "var/lib/kairos/extensions")
				must(t, os.Rename(filepath.Join(at, "tool.sysext.raw"), filepath.Join(at, "tool.raw")))
			}
			_, err := m.Enable(t.Context(), of(use(store.Active, store.Common), "tool"))
			must(t, err)
			before := m.entry(t, "tool")

			err = m.download(t, c.now)
			after := m.entry(t, "tool")
			if c.want == "" {
				must(t, err)
				if after.Digest == before.Digest {
					t.Error("the old image is still there")
				}
				return
			}
			refused, ok := errors.AsType[*node.RefusedError](err)
			if !ok || !strings.Contains(err.Error(), c.want) || refused.Name == "" {
				t.Errorf("got %v, want … %s", err, c.want)
			}
			if after.Digest != before.Digest || after.Size != before.Size {
				t.Errorf("the store was changed: %+v, %+v", before, after)
			}

			r := node.DownloadRequest{Request: fetch.Request{URI: "file:" + sample.Make(t, c.now)}, AllowUntrusted: true}
			d, err := m.Download(t.Context(), r)
			must(t, err)
			after = m.entry(t, "tool")
			if !d.Replaced || after.FileName != "tool.sysext.raw" || after.Digest != d.Digest || !after.Linked || len(after.Profiles) != 2 {
				t.Errorf("allowed: %+v, %+v", d, after)
			}
			if _, err := os.Stat(filepath.Join(m.root, "run/extensions", after.FileName)); err != nil {
				t.Error(err)
			}
		})
	}
}
