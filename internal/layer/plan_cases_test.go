package layer_test

import (
	"strings"
	"testing"

	"inlay/internal/extension"
	"inlay/internal/layer"
)

// any fits every host.
const fits = "ID=_any\n"

// TestPlanState shows what becomes of what lies in the folders.
func TestPlanState(t *testing.T) {
	t.Parallel()
	const one = "var/lib/extensions/one"
	runPlanned(t, []planned{
		{name: "nothing"},
		{name: "one", files: ext(one, fits, "usr/bin/one"), want: []string{"merge /var/lib/extensions/one", "/usr one"}},
		{
			name:  "the newest on top",
			files: tree{}.plus(ext("var/lib/extensions/a_9", fits+"#", "usr/bin/a"), ext("etc/extensions/a_10", fits, "usr/bin/b"), ext("run/extensions/B", fits, "usr/bin/c")),
			want:  []string{"merge /run/extensions/B", "merge /var/lib/extensions/a_9", "merge /etc/extensions/a_10", "/usr a_10 a_9 B"},
		},
		{
			name:  "masked",
			files: tree{"etc/extensions/one/": ""}.plus(ext(one, fits, "usr/bin/one")),
			want: []string{
				"masked /etc/extensions/one an empty folder: nothing is merged by this name",
				`shadowed /var/lib/extensions/one the empty folder "/etc/extensions/one" masks the name "one"`,
			},
		},
		{
			name:  "masked, and forced",
			files: tree{"etc/extensions/one/": ""}, ask: func(r *layer.Request) { r.Force = true },
			want: []string{"masked /etc/extensions/one an empty folder: nothing is merged by this name"},
		},
		{
			name:  "twice",
			files: tree{}.plus(ext("run/extensions/one", fits, "usr/bin/one"), ext(one, fits, "usr/bin/two")),
			want: []string{
				"merge /run/extensions/one",
				`shadowed /var/lib/extensions/one "/run/extensions/one" has the name "one" too, and its folder comes first`,
				"/usr one",
			},
		},
		{
			name:  "a bad one that shadows a good one",
			files: tree{"run/extensions/one.raw": "no image"}.plus(ext(one, fits, "usr/bin/two")),
			want: []string{
				"refused /run/extensions/one.raw neither a partition table nor a file system: this is no extension image",
				"shadowed /var/lib/extensions/one …",
			},
		},
		{
			name:  "no extensions",
			files: tree{"var/lib/extensions/README": "text", "var/lib/extensions/gone": "-> nowhere"},
			want:  []string{"skipped /var/lib/extensions/README a regular file…", "skipped /var/lib/extensions/gone a link to what is not there"},
		},
		{
			name: "corrupt images", files: tree{"run/extensions/a.raw": "", "run/extensions/b.raw": strings.Repeat("x", 1<<16)},
			want: []string{
				"refused /run/extensions/a.raw neither a partition table nor a file system: this is no extension image",
				"refused /run/extensions/b.raw neither a partition table nor a file system: this is no extension image",
			},
		},
		{
			name: "one bad among good ones", files: tree{"run/extensions/m.raw": ""}.plus(ext("run/extensions/a", fits, "usr/x"), ext("run/extensions/z", fits, "usr/y")),
			want: []string{"merge /run/extensions/a", "merge /run/extensions/z", "refused /run/extensions/m.raw …", "/usr z a"},
		},
		{
			name: "a link", files: tree{"run/extensions/name": "-> /srv/other"}.plus(ext("srv/other", "", "usr/lib/extension-release.d/extension-release.name="+fits)),
			want: []string{"merge /run/extensions/name", "/usr name"},
		},
		{
			name:  "a folder of layers",
			files: tree{"run/extensions/one.mstack/layer@0/usr/x": "x"},
			want:  []string{"refused /run/extensions/one.mstack a folder of layers (.mstack), which systemd lists and doesn't merge"},
		},
		{
			name:  "a version that is picked",
			files: tree{}.plus(ext("run/extensions/one.v/one_1", "", "usr/lib/extension-release.d/extension-release.one="+fits), ext("run/extensions/one.v/one_2", "", "usr/lib/extension-release.d/extension-release.one="+fits)),
			want:  []string{"merge /run/extensions/one.v/one_2", "/usr one"},
		},
		{
			name: "old folders, which systemd has left", files: ext("usr/lib/extensions/one", fits, "usr/bin/one"),
		},
		{
			name: "old folders", files: tree{}.plus(ext("usr/lib/extensions/one", fits, "usr/bin/one"), ext("usr/local/lib/extensions/two", fits, "usr/bin/two")),
			ask:  func(r *layer.Request) { r.Old = true },
			want: []string{"merge /usr/lib/extensions/one", "merge /usr/local/lib/extensions/two", "/usr two one"},
		},
		{
			name: "old folders, with systemd", files: tree{}.plus(ext("usr/lib/extensions/one", fits, "usr/bin/one")),
			ask:  func(r *layer.Request) { r.Old, r.Engine = true, layer.EngineSystemd },
			want: []string{`refused /usr/lib/extensions/one a folder inside of "/usr", or around it, over which systemd cannot lay it`},
		},
		{
			name: "old folders, with systemd elsewhere", files: tree{}.plus(ext("usr/lib/extensions/one", fits, "usr/bin/one")),
			ask: func(r *layer.Request) {
				r.Old, r.Engine, r.Hierarchies = true, layer.EngineSystemd, []string{"/usr/bin"}
			},
			want: []string{"merge /usr/lib/extensions/one", "/usr/bin one"},
		},
		{
			name: "everything, with systemd", files: tree{"run/extensions/all": "-> /"}, ask: func(r *layer.Request) { r.Engine = layer.EngineSystemd },
			want: []string{`refused /run/extensions/all a folder inside of "/opt", or around it, over which systemd cannot lay it`},
		},
		{
			name: "a name that systemd cannot merge", files: ext("run/extensions/a:b", fits, "usr/x"), ask: func(r *layer.Request) { r.Engine = layer.EngineSystemd },
			want: []string{`refused /run/extensions/a:b the name "a:b" holds a ':', which systemd-sysext cannot merge`},
		},
		{name: "that name without systemd", files: ext("run/extensions/a:b,c", fits, "usr/x"), want: []string{"merge /run/extensions/a:b,c", "/usr a:b,c"}},
		{name: "a dot", files: ext("run/extensions/.one", fits, "usr/x"), want: []string{"merge /run/extensions/.one", "/usr .one"}},
		{
			name: "an os-release", files: ext(one, fits, "usr/lib/os-release"),
			want: []string{"ignored /var/lib/extensions/one it has /usr/lib/os-release, by which the host would take itself for another system"},
		},
		{name: "an os-release to nowhere", files: ext(one, fits, "usr/lib/os-release=-> nowhere"), want: []string{"merge /var/lib/extensions/one", "/usr one"}},
		{
			name: "an os-release, forced", files: ext(one, fits, "usr/lib/os-release"), ask: func(r *layer.Request) { r.Force = true },
			want: []string{"merge /var/lib/extensions/one", "/usr one"},
		},
		{
			name: "a confext is none", files: tree{"var/lib/confexts/one/etc/extension-release.d/extension-release.one": fits},
		},
		{
			name: "a confext", files: tree{"var/lib/confexts/one/etc/extension-release.d/extension-release.one": fits, "var/lib/confexts/one/usr/x": ""},
			ask:  func(r *layer.Request) { r.Kind = extension.Confext() },
			want: []string{"merge /var/lib/confexts/one", "/etc one"},
		},
		{name: "no request", ask: func(r *layer.Request) { r.Root = nil }, err: "no root or no kind"},
		{name: "no os-release", files: tree{"etc/os-release": "-> gone"}, err: "os-release"},
	})
}

// TestPlanMatch shows which release files fit, and what is said of those that
// don't.
func TestPlanMatch(t *testing.T) {
	t.Parallel()
	const ignored = "ignored /run/extensions/one "
	merge := []string{"merge /run/extensions/one", "/usr one"}
	forced := func(r *layer.Request) { r.Force = true }
	extended := func(r *layer.Request) { r.Extended = true }
	one := func(release string) tree { return ext("run/extensions/one", release, "usr/bin/one") }
	runPlanned(t, []planned{
		{name: "no release file", files: one(""), want: []string{ignored + "no release file for this name: …"}},
		{name: "no release file, forced", files: one(""), ask: forced, want: merge},
		{
			name: "that of another name", files: ext("run/extensions/one", "", "usr/lib/extension-release.d/extension-release.two="+fits),
			want: []string{ignored + `no release file for this name: …`},
		},
		{name: "that of the base name", files: ext("run/extensions/one_1.2", "", "usr/lib/extension-release.d/extension-release.one="+fits), want: []string{"merge /run/extensions/one_1.2", "/usr one_1.2"}},
		{name: "an empty one", files: one("# nothing\n"), want: []string{ignored + "the extension's release file says nothing"}},
		{name: "the same system", files: one("ID=debian\nVERSION_ID=13\n"), want: merge},
		{name: "a system like it", files: one("ID=unix\nVERSION_ID=13\n"), want: merge},
		{name: "another system", files: one("ID=fedora\nVERSION_ID=13\n"), want: []string{ignored + `the extension is for the system "fedora", and the host is "debian"`}},
		{name: "another system, forced", files: one("ID=fedora\n"), ask: forced, want: merge},
		{name: "another version", files: one("ID=debian\nVERSION_ID=12\n"), want: []string{ignored + "the extension is for debian 12, and the host is debian 13"}},
		{name: "no version", files: one("ID=debian\n"), want: []string{ignored + `the extension is for "debian" without a VERSION_ID, and the host has "13"`}},
		{name: "the same level", files: one("ID=debian\nSYSEXT_LEVEL=2\nVERSION_ID=12\n"), want: merge},
		{name: "another level", files: one("ID=debian\nSYSEXT_LEVEL=1\nVERSION_ID=13\n"), want: []string{ignored + `the extension is for SYSEXT_LEVEL "1", and the host has "2"`}},
		{name: "another architecture", files: one("ID=_any\nARCHITECTURE=arm64\n"), want: []string{ignored + "the extension is for arm64 machines, and the host is x86-64"}},
		{name: "a scope of initrds", files: one("ID=_any\nSYSEXT_SCOPE=initrd\n"), want: []string{ignored + `the extension is for the scope "initrd", and the host's is "system"`}},
		{name: "an empty scope", files: one("ID=_any\nSYSEXT_SCOPE=\n"), want: []string{ignored + "the extension's SYSEXT_SCOPE is empty, which fits no host"}},
		{
			name: "an initrd", files: tree{"etc/initrd-release": "ID=x\n"}.plus(one("ID=_any\nSYSEXT_SCOPE=initrd\n"), ext(".extra/sysext/two", "ID=_any\nSYSEXT_SCOPE=initrd system\n", "usr/x")),
			want: []string{"merge /run/extensions/one", "merge /.extra/sysext/two", "/usr two one"},
		},
		{name: "ID_LIKE in an old systemd", files: one("ID=unix\nVERSION_ID=13\n"), ask: func(r *layer.Request) { r.Systemd = 255 }, want: []string{ignored + "the extension is for the system \"unix\"…"}},

		{name: "a range, not asked for", files: one("ID=debian\nINLAY_VERSION_ID=\">=12\"\n"), want: []string{ignored + `the extension is for "debian" without…`}},
		{name: "in a range", files: one("ID=debian\nINLAY_VERSION_ID=\">=12 <14\"\n"), ask: extended, want: merge},
		{name: "in the second range", files: one("ID=debian\nINLAY_VERSION_ID=\"<12 || >12.9 !=14\"\n"), ask: extended, want: merge},
		{name: "below a range", files: one("ID=debian\nVERSION_ID=13\nINLAY_VERSION_ID=\">13\"\n"), ask: extended, want: []string{ignored + "the extension is for VERSION_ID >13, and the host has 13"}},
		{name: "a range of another system", files: one("ID=fedora\nINLAY_VERSION_ID=\">=12\"\n"), ask: extended, want: []string{ignored + "the extension is for the system \"fedora\"…"}},
		{name: "a range beside a level", files: one("ID=debian\nSYSEXT_LEVEL=1\nINLAY_VERSION_ID=13\n"), ask: extended, want: merge},
		{
			name: "a range, and systemd", files: one("ID=debian\nINLAY_VERSION_ID=\">=12\"\n"), ask: func(r *layer.Request) { r.Extended, r.Engine = true, layer.EngineSystemd },
			want: []string{ignored + "systemd, which doesn't know INLAY_VERSION_ID, would leave it out: …"},
		},
		{name: "an image", files: one("ID=_any\nINLAY_IMAGE_ID=board\nINLAY_BUILD_ID=\">=2026.1\"\n"), ask: extended, want: merge},
		{name: "another image", files: one("ID=_any\nINLAY_IMAGE_ID=box\n"), ask: extended, want: []string{ignored + "the extension is for IMAGE_ID box, and the host has board"}},
		{name: "what the host has not", files: one("ID=_any\nINLAY_VARIANT_ID=server\n"), ask: extended, want: []string{ignored + "the extension is for VARIANT_ID server, and the host has no VARIANT_ID"}},
		{name: "not what the host has not", files: one("ID=_any\nINLAY_VARIANT_ID=!=server\n"), ask: extended, want: merge},
		{name: "a condition that is none", files: one("ID=_any\nINLAY_VERSION_ID=\">=\"\n"), ask: extended, want: []string{ignored + `reading INLAY_VERSION_ID=">=": ">=" stands without a version`}},
		{name: "an operator that is none", files: one("ID=_any\nINLAY_VERSION_ID=\"=>1\"\n"), ask: extended, want: []string{ignored + `reading INLAY_VERSION_ID="=>1": "=>" is no operator`}},
		{name: "an empty condition", files: one("ID=_any\nINLAY_VERSION_ID=\"1 || \"\n"), ask: extended, want: []string{ignored + `reading INLAY_VERSION_ID="1 || ": an alternative is empty`}},
		{name: "an unknown key", files: one("ID=_any\nINLAY_VERSION=1\n"), ask: extended, want: []string{ignored + "the release file has INLAY_VERSION, which this version of inlay doesn't know"}},
		{name: "a condition, forced", files: one("ID=_any\nINLAY_IMAGE_ID=box\n"), ask: func(r *layer.Request) { r.Extended, r.Force = true, true }, want: merge},
	})
}

// TestPlanStacks shows what is laid over which hierarchy.
func TestPlanStacks(t *testing.T) {
	t.Parallel()
	const place = "run/extensions/"
	one := ext(place+"one", fits, "usr/bin/one")
	opt := ext(place+"opt", fits, "opt/tool/x")
	merged := []string{"merge /run/extensions/one", "merge /run/extensions/opt"}
	stacks := func(lines ...string) []string {
		return append([]string{"merge /run/extensions/one", "merge /run/extensions/opt"}, lines...)
	}
	_ = merged
	runPlanned(t, []planned{
		{name: "each what it brings", files: one.plus(opt), want: stacks("/opt opt (bare)", "/usr opt one")},
		{name: "an empty folder", files: one.plus(opt, tree{place + "one/opt/": ""}), want: stacks("/opt opt (bare)", "/usr opt one")},
		{name: "the host has something", files: one.plus(opt, tree{"opt/x": ""}), want: stacks("/opt opt", "/usr opt one")},
		{name: "a hierarchy that is missing", files: one.plus(opt), ask: hierarchies("/usr/bin", "/srv/x"), want: stacks("/usr/bin one")},
		{name: "one that is made", files: one.plus(opt, tree{place + "one/srv/x/y": ""}), ask: hierarchies("/srv/x"), want: stacks("/srv/x one (missing)")},
		{name: "kairos", files: one.plus(opt, tree{place + "one/usr/local/share/x": ""}), ask: hierarchies("kairos"), want: stacks("/usr/bin one", "/usr/lib opt one (missing)", "/usr/local/share one (missing)")},
		{name: "kairos and more", files: one.plus(opt), ask: hierarchies("kairos", "/opt"), want: stacks("/opt opt (bare)", "/usr/bin one", "/usr/lib opt one (missing)")},
		{name: "from the environment", files: one.plus(opt), ask: func(r *layer.Request) {
			r.Getenv, r.Hierarchies = getenv("SYSTEMD_SYSEXT_HIERARCHIES", "/opt"), []string{"/usr"}
		}, want: stacks("/opt opt (bare)")},
		{name: "a bad environment", ask: func(r *layer.Request) { r.Getenv = getenv("SYSTEMD_SYSEXT_HIERARCHIES", "usr") }, err: "which is no hierarchy"},
		{name: "no hierarchy", ask: hierarchies("/usr/"), err: `"/usr/" is no hierarchy`},
		{name: "the root", ask: hierarchies("/"), err: `"/" is no hierarchy`},
		{name: "a word", ask: hierarchies("cairo"), err: `"cairo" is no hierarchy`},
		{name: "one in another", ask: hierarchies("/usr", "/usr-x", "/usr/local"), err: `the hierarchy "/usr/local" lies in "/usr"`},
		{name: "beside each other", files: one.plus(opt), ask: hierarchies("/usr/local", "/usr/local-x"), want: stacks()},

		{name: "a link in the host", files: one.plus(opt, tree{"opt/": "", "srv/opt/x": "", "srv/link": "-> opt", place + "one/srv/link/y": ""}), ask: hierarchies("/srv/link"), want: stacks("/srv/link one")},
		{name: "a link in the extension", files: one.plus(opt, tree{place + "one/opt": "-> usr/bin"}), want: stacks("/opt opt one:usr/bin (bare)", "/usr opt one")},
		{
			name: "a file in the extension", files: one.plus(opt, tree{place + "one/opt": "text"}),
			want: []string{"merge /run/extensions/opt", `refused /run/extensions/one its "/opt" is no folder`, "/opt opt (bare)", "/usr opt"},
		},
		{
			name: "a file in the host", files: one.plus(tree{"srv/x": "text", place + "one/srv/x/y": ""}), ask: hierarchies("/srv/x"),
			want: []string{"merge /run/extensions/one", `warning: nothing is merged into "/srv/x": it is no folder`},
		},
		{
			name: "a link to nothing", files: one.plus(tree{"srv/x": "-> y", place + "one/srv/x/y": ""}), ask: hierarchies("/srv/x"),
			want: []string{"merge /run/extensions/one", `warning: nothing is merged into "/srv/x": a link to what is not there`},
		},
		{
			name: "one folder by two names", files: one.plus(tree{"usr/sbin": "-> bin", place + "one/usr/sbin/x": ""}), ask: hierarchies("/usr/bin", "/usr/sbin"),
			want: []string{"merge /run/extensions/one", "/usr/bin one", `warning: what extensions have in "/usr/sbin" is not merged: it leads to where "/usr/bin" is`},
		},
		{name: "mutable without extensions", ask: func(r *layer.Request) { r.Mutable = layer.Mutable }, want: []string{"/opt (bare)", "/usr"}},
		{name: "mutable without extensions in 257", ask: func(r *layer.Request) { r.Mutable, r.Systemd = layer.Mutable, 257 }},
		{name: "nothing for it, but mutable", files: one, ask: func(r *layer.Request) { r.Mutable = layer.Ephemeral }, want: []string{"merge /run/extensions/one", "/opt (bare)", "/usr one"}},
	})
}
