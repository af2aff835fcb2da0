package layer_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/layer"
)

// TestPlanModes shows where the mode comes from, and which ones "signed" has no
// room for.
func TestPlanModes(t *testing.T) {
	t.Parallel()
	conf := func(text string) tree { return tree{"etc/systemd/sysext.conf": text} }
	for _, c := range []struct {
		name  string
		files tree
		ask   func(*layer.Request)
		want  layer.Mode
		err   string // under "signed"
		warn  string
	}{
		{name: "none", want: layer.Immutable},
		{name: "asked for", ask: func(r *layer.Request) { r.Mutable = layer.Auto }, want: layer.Auto, err: `the mode of mutability is "auto", with which`},
		{name: "ephemeral", ask: func(r *layer.Request) { r.Mutable = layer.Ephemeral }, want: layer.Ephemeral},
		{name: "ephemeral and imported", ask: func(r *layer.Request) { r.Mutable = layer.EphemeralImport }, want: layer.EphemeralImport, err: "ephemeral-import"},
		{name: "environment", files: conf("[SysExt]\nMutable=no\n"), ask: func(r *layer.Request) { r.Getenv = getenv("SYSTEMD_SYSEXT_MUTABLE_MODE", "import") }, want: layer.Import, err: "by SYSTEMD_SYSEXT_MUTABLE_MODE"},
		{name: "a truth value", ask: func(r *layer.Request) { r.Getenv = getenv("SYSTEMD_SYSEXT_MUTABLE_MODE", "On") }, want: layer.Mutable, err: "yes"},
		{name: "a bad environment", ask: func(r *layer.Request) { r.Getenv = getenv("SYSTEMD_SYSEXT_MUTABLE_MODE", "maybe") }, want: layer.Immutable, warn: `SYSTEMD_SYSEXT_MUTABLE_MODE counts as not set: "maybe" is no mode of mutability`},
		{name: "the other kind's environment", ask: func(r *layer.Request) { r.Getenv = getenv("SYSTEMD_CONFEXT_MUTABLE_MODE", "yes") }, want: layer.Immutable},
		{name: "configured", files: conf("# a comment\n[ConfExt]\nMutable=no\n[SysExt]\nMutable = yes\n"), want: layer.Mutable, err: "by /etc/systemd/sysext.conf"},
		{name: "configured for another section", files: conf("Mutable=yes\n[ConfExt]\nMutable=yes\n"), want: layer.Immutable},
		{name: "configured badly", files: conf("[SysExt]\nMutable=perhaps\n"), want: layer.Immutable, warn: "/etc/systemd/sysext.conf counts as not set…"},
		{name: "a vendor's", files: tree{"usr/lib/systemd/sysext.conf": "[SysExt]\nMutable=yes\n"}, want: layer.Mutable, err: "by /usr/lib/systemd/sysext.conf"},
		{name: "a vendor's, replaced", files: tree{"usr/lib/systemd/sysext.conf": "[SysExt]\nMutable=yes\n"}.plus(conf("")), want: layer.Immutable},
		{name: "a vendor's, masked", files: tree{"usr/lib/systemd/sysext.conf": "[SysExt]\nMutable=yes\n"}.plus(conf("-> /dev/null")), want: layer.Immutable},
		{name: "a drop-in", files: conf("[SysExt]\nMutable=no\n").plus(tree{"run/systemd/sysext.conf.d/10-x.conf": "[SysExt]\nMutable=yes\n"}), want: layer.Mutable, err: "by /run/systemd/sysext.conf.d/10-x.conf"},
		{name: "two drop-ins", files: tree{"run/systemd/sysext.conf.d/20-x.conf": "[SysExt]\nMutable=ephemeral\n", "etc/systemd/sysext.conf.d/10-x.conf": "[SysExt]\nMutable=yes\n"}, want: layer.Ephemeral},
		{name: "a drop-in, replaced", files: tree{"run/systemd/sysext.conf.d/20-x.conf": "[SysExt]\nMutable=yes\n", "etc/systemd/sysext.conf.d/20-x.conf": ""}, want: layer.Immutable},
		{name: "a drop-in, masked", files: tree{"run/systemd/sysext.conf.d/20-x.conf": "[SysExt]\nMutable=yes\n", "etc/systemd/sysext.conf.d/20-x.conf": "-> /dev/null"}, want: layer.Immutable},
		{name: "no drop-in", files: tree{"run/systemd/sysext.conf.d/README": "[SysExt]\nMutable=yes\n"}, want: layer.Immutable},
		{name: "configured, but this systemd doesn't look", files: conf("[SysExt]\nMutable=yes\n"), ask: func(r *layer.Request) { r.Engine, r.Systemd = layer.EngineSystemd, 257 }, want: layer.Immutable},
		{name: "of confexts", files: tree{"etc/systemd/confext.conf": "[ConfExt]\nMutable=yes\n"}, ask: func(r *layer.Request) { r.Kind = extension.Confext() }, want: layer.Mutable, err: "by /etc/systemd/confext.conf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := system(t, someHost().plus(c.files))
			for _, word := range []string{"any", "signed"} {
				r := layer.Request{Root: root, Kind: extension.Sysext(), User: os.Getuid(), Policy: policy(t, word)}
				if c.ask != nil {
					c.ask(&r)
				}
				p, err := plan(t, r)
				_, refused := errors.AsType[*layer.RefusedError](err)
				switch wanted := word == "signed" && c.err != ""; {
				case wanted && (!refused || !strings.Contains(err.Error(), c.err)):
					t.Errorf("%s: %v, want %q", word, err, c.err)
				case !wanted && err != nil:
					t.Fatal(err)
				}
				if p.Request.Mutable != c.want {
					t.Errorf("%s, want %s", p.Request.Mutable, c.want)
				}
				warned := ""
				for _, w := range p.Warnings {
					warned = w.Text
				}
				if start, short := strings.CutSuffix(c.warn, "…"); short && strings.HasPrefix(warned, start) {
					warned = c.warn
				}
				if warned != c.warn {
					t.Errorf("warned %q, want %q", warned, c.warn)
				}
			}
		})
	}
}

// TestPlanUnsettled plans an image of a file system that nobody here reads.
func TestPlanUnsettled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files tree // what it turns out to hold
		want  []string
	}{
		{"it fits", ext("one", fits, "opt/x"), []string{"merge /run/extensions/one.raw", "/opt one (bare)", "/usr one"}},
		{"it doesn't", ext("one", "ID=fedora\n", "usr/x"), []string{`ignored /run/extensions/one.raw the extension is for the system "fedora", and the host is "debian"`}},
		{"it isn't safe", ext("one", fits, "usr/bin"), []string{"refused /run/extensions/one.raw its file \"/usr/bin\" would replace a folder of the host and all that is in it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := system(t, someHost().plus(ext("run/extensions/two", fits, "usr/two")))
			// The magic number of XFS, and nothing else.
			if err := root.WriteFile("run/extensions/one.raw", append([]byte("XFSB\x00\x00\x10\x00"), make([]byte, 1<<20)...), 0o644); err != nil {
				t.Fatal(err)
			}
			p, err := plan(t, layer.Request{Root: root, Kind: extension.Sysext(), User: os.Getuid(), Policy: policy(t, "any")})
			if err != nil {
				t.Fatal(err)
			}
			waiting := p.Unsettled()
			if len(waiting) != 1 || waiting[0].Name != "one" {
				t.Fatalf("waiting: %v", waiting)
			}
			if diff := cmp.Diff([]string{"merge /run/extensions/one.raw", "merge /run/extensions/two", "/usr two"}, told(p)); diff != "" {
				t.Fatal(diff)
			}
			mounted := system(t, c.files)
			folder, err := mounted.OpenRoot("one")
			if err != nil {
				t.Fatal(err)
			}
			defer folder.Close()
			if err := p.Settle(t.Context(), waiting[0], content.Folder(folder)); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range told(p) {
				if !strings.Contains(line, "two") {
					got = append(got, line)
				} else if strings.HasPrefix(line, "/usr two one") {
					got = append(got, "/usr one")
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
