package layer_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/trust"
	"inlay/test/sample"
)

// TestSystemdSigners leaves out what systemd would fail of as a whole because nobody
// but us trusts its signer, and merges the others.
func TestSystemdSigners(t *testing.T) {
	t.Parallel()
	shared, own, firm := sample.Pair(t, sample.Certificate{Name: "shared"}), sample.Pair(t, sample.Certificate{Name: "own"}), sample.Pair(t, sample.Certificate{Name: "firm"})
	stranger := sample.Pair(t, sample.Certificate{Name: "stranger"})
	set, err := trust.Load(trust.Options{Given: []trust.Given{
		{Origin: "/etc/inlay/own.crt", PEM: sample.PEM(own.Certificate)},
		{Origin: "/etc/inlay/shared.crt", PEM: sample.PEM(shared.Certificate)},
		{Origin: "/etc/verity.d/shared.crt", PEM: sample.PEM(shared.Certificate)},
		{Origin: "firmware db", PEM: sample.PEM(firm.Certificate)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	const unchecked = "systemd %s cannot check its signature, and would merge nothing at all: its signer is trusted by /etc/inlay/own.crt, of which systemd knows nothing"
	const suspected = "systemd fails, and may not be able to check its signature: "
	for _, c := range []struct {
		name, version, policy string
		given                 bool
		fails                 string // what systemd says the first time
		want                  map[string]string
		aside                 bool
	}{
		{name: "257", version: "257", policy: "signed", want: map[string]string{"shared": "", "firm": "", "own": unchecked, "stranger": "signed by CN=stranger"}},
		{name: "259", version: "259", policy: "signed", want: map[string]string{"shared": "", "firm": "", "own": "", "stranger": "signed by CN=stranger"}},
		{name: "259, which is told the policy", version: "259", policy: "signed", given: true, want: map[string]string{"shared": "", "firm": "", "own": unchecked, "stranger": "signed by CN=stranger"}},
		{name: "257, signatures not asked for", version: "257", policy: "verity", aside: true, want: map[string]string{"shared": "", "firm": "", "own": "", "stranger": ""}},
		{
			name: "a kernel that doesn't ask the firmware", version: "257", policy: "signed", fails: "Failed to decrypt image: Required key not available\n",
			want: map[string]string{"shared": "", "firm": suspected, "own": unchecked, "stranger": "signed by CN=stranger"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			someHost().lay(t, w.root.Name())
			w.version = "systemd " + c.version + "\n"
			for name, im := range map[string]sample.Image{"shared": {Signer: shared}, "own": {Signer: own}, "firm": {Signer: firm}, "stranger": {Signer: stranger}} {
				image(t, w.root, "run/extensions/"+name+".raw", im)
			}
			e := w.engineApart(t)
			r := layer.Request{
				Root: w.root, Kind: extension.Sysext(), Architecture: "x86-64", Policy: policy(t, c.policy), PolicyGiven: c.given,
				Anchors: set, User: os.Getuid(),
			}
			if err := e.Prepare(t.Context(), &r); err != nil {
				t.Fatal(err)
			}
			p, err := layer.MakePlan(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if c.fails != "" {
				w.fails, w.once = map[string]string{reload: c.fails}, true
			}
			_, err = e.Refresh(t.Context(), p, layer.RunOptions{})
			// Nothing is merged for real, so that none is found; that comes after.
			if err != nil && !strings.Contains(err.Error(), "systemd merged, but") {
				t.Error(err)
			}
			got := map[string]string{}
			for _, i := range p.Items {
				want := strings.ReplaceAll(c.want[i.Name], "%s", c.version)
				got[i.Name] = i.Reason
				if want != "" && strings.HasPrefix(i.Reason, want) {
					got[i.Name] = c.want[i.Name]
				}
				if (i.State == layer.Merge) != (want == "") {
					t.Errorf("%s: %s", i.Name, i.State)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if p.Request.SetAside != c.aside {
				t.Errorf("signatures set aside: %t", p.Request.SetAside)
			}
		})
	}
}
