package layering_test

import "inlay/test/layering/scene"

// markerCases are of section 2.6: what a merge leaves, and what a refresh does.
func markerCases() []spec {
	plain, a, b := ext(extensions+"a"), ext(extensions+"a", "opt/a"), ext(extensions+"b", "opt/b")
	rules := map[string][]spec{
		"2.6 marker": {
			{name: "of one", scene: plain},
			{name: "of two hierarchies", scene: all(plain, b)},
			{name: "with nothing merged", scene: []string{"run/"}, steps: steps("--mutable=yes merge", "unmerge"), newer: "merges of nothing"},
			{name: "of a confext", confext: true, scene: conf(confexts + "a")},
			{name: "of an image", scene: []string{"image " + extensions + "any.raw any.squashfs"}},
			{name: "with a work folder", scene: a, steps: steps("--mutable=yes merge", "unmerge")},
			{name: "without a work folder", scene: a, steps: steps("--mutable=ephemeral merge", "unmerge")},
			{name: "cannot be written to", scene: a, steps: steps("--mutable=ephemeral merge", "usr/.systemd-sysext/x = x | --mutable=ephemeral refresh", "unmerge")},
			{name: "an extension brings one", ours: "safe content", scene: ext(extensions+"a", "usr/.systemd-sysext/extensions = evil", "usr/.systemd-sysext/dev = 0:1")},
			{name: "the host has one", scene: all(a, "usr/.systemd-sysext/extensions = evil", "usr/.systemd-sysext/dev = 0:1")},
			{name: "the host has one, and nothing is merged", scene: all("usr/.systemd-sysext/extensions = evil", "usr/.systemd-sysext/dev = 0:1"), steps: steps("unmerge", "refresh", "unmerge")},
			{name: "on a device", scene: all("remove opt", "mount opt ext4.empty", "opt/host = host", b)},
		},
		"2.6 refresh": {
			{name: "nothing new", scene: a, steps: steps("merge", "refresh", "unmerge")},
			{name: "always", scene: a, steps: steps("merge", "--always-refresh=yes refresh", "unmerge"), newer: "always-refresh"},
			{name: "one more", scene: a, steps: steps("merge", "@b refresh", "unmerge")},
			{name: "one less", scene: all(a, b), steps: steps("merge", "remove var/lib/extensions/b | refresh", "unmerge")},
			{name: "none left", scene: a, steps: steps("merge", "remove var/lib/extensions/a | refresh", "refresh")},
			{name: "only strangers left", scene: a, steps: steps("merge", `var/lib/extensions/a/usr/lib/extension-release.d/extension-release.a = ID=stranger\n | refresh`, "unmerge")},
			{name: "from nothing", scene: a, steps: steps("refresh", "unmerge")},
			{name: "another folder of the name", scene: a, steps: steps("merge", "rename var/lib/extensions/a old | @a refresh", "unmerge")},
			{
				name: "another image of the name", scene: all("image " + extensions + "any.raw any.squashfs"),
				steps: steps("merge", "remove var/lib/extensions/any.raw; image var/lib/extensions/any.raw any.erofs | refresh", "unmerge"),
			},
			{name: "a newer image", scene: all("image " + extensions + "any.raw any.squashfs"), steps: steps("merge", "touch var/lib/extensions/any.raw | refresh", "unmerge")},
			{name: "another version", scene: release(extensions+"a.v/a_1", "a", anyHost), steps: steps("merge", "rename var/lib/extensions/a.v/a_1 var/lib/extensions/a.v/a_2 | refresh", "unmerge")},
			{name: "a mode that is new", scene: a, steps: steps("merge", "--mutable=ephemeral refresh", "unmerge")},
			{name: "a file that is new in a folder", scene: a, steps: steps("merge", "var/lib/extensions/a/usr/share/new = x | refresh", "unmerge")},
			{name: "the host has a new file", scene: all(a, "tmpfs opt", b), steps: steps("merge", "etc/x = x | refresh", "unmerge")},
			{name: "it fails", newer: "folders are made first", scene: a, ours: "failing refreshes", steps: steps("merge",
				"tmpfs var/lib/extensions.mutable/usr | --mutable=yes refresh", "unmerge")},
			{name: "a bad image comes", scene: a, steps: steps("merge", "var/lib/extensions/bad.raw = bad | refresh", "unmerge"), ours: "isolation"},
			{name: "confext", confext: true, scene: conf(confexts + "a"), steps: steps("merge", "refresh", "remove var/lib/confexts/a | refresh")},
		},
	}
	var cases []spec
	for _, rule := range sortedKeys(rules) {
		for _, c := range rules[rule] {
			c.rule = rule
			for n, s := range c.steps { // "@b" is all of an extension
				if len(s.Run) > 0 && s.Run[0] == "@b" {
					c.steps[n] = scene.Step{Do: append(s.Do, b...), Run: s.Run[1:]}
				}
				if len(s.Run) > 0 && s.Run[0] == "@a" {
					c.steps[n] = scene.Step{Do: append(s.Do, ext(extensions+"a", "usr/share/more")...), Run: s.Run[1:]}
				}
			}
			cases = append(cases, c)
		}
	}
	return cases
}

// mutableCases are of section 2.7: who may write to what is merged, and where to.
func mutableCases() []spec {
	const stored = "var/lib/extensions.mutable/"
	a := ext(extensions+"a", "opt/a")
	// life writes to what is merged, in the mode, and looks at what becomes of it.
	life := func(mode string) []scene.Step {
		flag := "--mutable=" + mode + " "
		return steps(flag+"merge",
			"usr/new = new; usr/share/host = changed; remove usr/bin/tool; usr/share/a = changed; rename usr/share/folder usr/share/moved; mode usr/share 0700 | "+flag+"refresh",
			"unmerge")
	}
	kept := []string{stored + "usr/kept = kept", stored + "usr/share/host = kept", stored + "usr/share/a = kept"}
	rules := map[string][]spec{
		"2.7 no": {
			{name: "nothing is written", scene: a, steps: life("no")},
			{name: "false", scene: a, steps: life("false")},
			{name: "by default", scene: all(a, kept)},
			{name: "what is kept doesn't count", scene: all(a, kept), steps: steps("--mutable=no merge", "unmerge")},
			{name: "no extensions", scene: kept, steps: steps("--mutable=no merge", "unmerge")},
			{name: "a link to the hierarchy", scene: all(a, stored+"usr -> /usr"), steps: steps("--mutable=no merge", "unmerge")},
		},
		"2.7 auto": {
			{name: "nothing kept", scene: a, steps: life("auto")},
			{name: "one of two", scene: all(a, kept), steps: life("auto")},
			{name: "a link", scene: all(a, "srv/usr/kept = kept", stored+"usr -> /srv/usr"), steps: life("auto")},
			{name: "a link to nothing", scene: all(a, stored+"usr -> /nothing"), steps: life("auto")},
			{name: "a link to the hierarchy", scene: all(a, stored+"usr -> /usr"), steps: steps("--mutable=auto merge", "usr/new = x | unmerge")},
			{name: "another mode than the hierarchy's", scene: all(a, kept, "mode "+stored+"usr 0700"), steps: life("auto")},
			{name: "no extensions", scene: kept, steps: steps("--mutable=auto merge", "usr/new = x | unmerge"), newer: "merges of nothing"},
			{name: "an empty opt", scene: all("remove opt/host", ext(extensions+"a")), steps: steps("--mutable=auto merge", "unmerge"), newer: "merges of nothing", ours: "empty hierarchies"},
			{name: "no opt", scene: all("remove opt", ext(extensions+"a")), steps: steps("--mutable=auto merge", "unmerge"), newer: "merges of nothing", ours: "empty hierarchies"},
			{name: "a file", scene: all(a, stored+"usr = x"), steps: steps("--mutable=auto merge", "unmerge")},
		},
		"2.7 yes": {
			{name: "nothing kept", scene: a, steps: life("yes")},
			{name: "true", scene: a, steps: steps("--mutable=true merge", "unmerge")},
			{name: "1", scene: a, steps: steps("--mutable=1 merge", "unmerge")},
			{name: "something kept", scene: all(a, kept), steps: life("yes")},
			{name: "a link to nothing", scene: all(a, stored+"usr -> /srv/new", "srv/"), newer: "links among mutable folders", steps: steps("--mutable=yes merge", "unmerge")},
			{name: "a hierarchy of another mode", scene: all(a, "mode usr 0711"), steps: steps("--mutable=yes merge", "unmerge")},
			{name: "no extensions", scene: kept, steps: steps("--mutable=yes merge", "usr/new = x | unmerge"), newer: "merges of nothing"},
			{name: "only a stranger", scene: all(release(extensions+"a", "", `ID=stranger\n`), kept), steps: steps("--mutable=yes merge", "unmerge"), newer: "merges of nothing"},
			{name: "a link", newer: "links among mutable folders", scene: all(a, "srv/usr/kept = kept", stored+"usr -> /srv/usr"), steps: steps("--mutable=yes merge", "unmerge")},
			{name: "written again after it", scene: a, steps: steps("--mutable=yes merge", "usr/new = x | unmerge", "--mutable=yes merge", "unmerge")},
			{name: "on a file system that is only read", scene: all(a, "tmpfs var/lib/extensions.mutable", "readonly var/lib/extensions.mutable"), steps: steps("--mutable=yes merge", "unmerge")},
			{name: "a mount of its own", scene: all(a, "tmpfs "+stored+"usr"), newer: "folders are made first", steps: steps("--mutable=yes merge", "unmerge")},
			{name: "an empty opt", scene: all("remove opt/host", ext(extensions+"a")), steps: steps("--mutable=yes merge", "opt/x = x | unmerge"), newer: "merges of nothing"},
		},
		"2.7 import": {
			{name: "nothing kept", scene: a, steps: life("import")},
			{name: "something kept", scene: all(a, kept), steps: life("import")},
			{name: "a link", scene: all(a, "srv/usr/kept = kept", stored+"usr -> /srv/usr"), steps: steps("--mutable=import merge", "unmerge")},
			{name: "a link to nothing", scene: all(a, stored+"usr -> /nothing"), steps: steps("--mutable=import merge", "unmerge")},
			{name: "a link to the hierarchy", scene: all(a, stored+"usr -> /usr"), steps: steps("--mutable=import merge", "unmerge")},
			{name: "no extensions", scene: kept, steps: steps("--mutable=import merge", "unmerge"), newer: "merges of nothing"},
			{name: "another mode than the hierarchy's", scene: all(a, kept, "mode "+stored+"usr 0700"), steps: steps("--mutable=import merge", "unmerge"), show: []string{"usr"}},
			{name: "an empty opt", scene: all("remove opt/host", ext(extensions+"a")), steps: steps("--mutable=import merge", "unmerge"), newer: "merges of nothing", ours: "empty hierarchies"},
		},
		"2.7 ephemeral": {
			{name: "written", newer: "refreshes are skipped", scene: a, steps: life("ephemeral")},
			{name: "what is kept doesn't count", newer: "refreshes are skipped", scene: all(a, kept), steps: life("ephemeral")},
			{name: "lost in between", scene: a, steps: steps("--mutable=ephemeral merge", "usr/new = x | unmerge", "--mutable=ephemeral merge", "unmerge")},
			{name: "no extensions", scene: kept, steps: steps("--mutable=ephemeral merge", "usr/new = x | unmerge"), newer: "merges of nothing"},
			{name: "an empty opt", scene: all("remove opt/host", ext(extensions+"a")), steps: steps("--mutable=ephemeral merge", "opt/x = x | unmerge"), newer: "merges of nothing"},
			{name: "a hierarchy of another mode", scene: all(a, "mode usr 0711"), steps: steps("--mutable=ephemeral merge", "unmerge")},
			{name: "confext", confext: true, scene: conf(confexts + "a"), steps: steps("--mutable=ephemeral merge", "etc/app.conf = changed | --mutable=ephemeral refresh", "unmerge"), newer: "refreshes are skipped"},
		},
		"2.7 ephemeral-import": {
			{name: "nothing kept", newer: "refreshes are skipped", scene: a, steps: life("ephemeral-import")},
			{name: "something kept", newer: "refreshes are skipped", scene: all(a, kept), steps: life("ephemeral-import")},
			{name: "a link", scene: all(a, "srv/usr/kept = kept", stored+"usr -> /srv/usr"), steps: steps("--mutable=ephemeral-import merge", "usr/new = x | unmerge")},
			{name: "a link to the hierarchy", scene: all(a, stored+"usr -> /usr"), steps: steps("--mutable=ephemeral-import merge", "unmerge")},
			{name: "no extensions", scene: kept, steps: steps("--mutable=ephemeral-import merge", "unmerge"), newer: "merges of nothing"},
			{name: "an empty opt", scene: all("remove opt/host", ext(extensions+"a")), steps: steps("--mutable=ephemeral-import merge", "opt/x = x | unmerge"), newer: "merges of nothing"},
		},
		"2.7 where a mode comes from": {
			{name: "the environment", scene: a, steps: with("SYSTEMD_SYSEXT_MUTABLE_MODE=ephemeral")},
			{name: "the environment of the other class", scene: a, steps: with("SYSTEMD_CONFEXT_MUTABLE_MODE=ephemeral")},
			{name: "the option before the environment", scene: a, steps: steps("SYSTEMD_SYSEXT_MUTABLE_MODE=ephemeral --mutable=no merge", "unmerge")},
			{name: "nonsense in the environment", scene: a, steps: with("SYSTEMD_SYSEXT_MUTABLE_MODE=nonsense")},
			{name: "nonsense", ours: "exit statuses", scene: a, steps: steps("--mutable=nonsense merge")},
			{name: "sysext.conf", scene: all(a, `etc/systemd/sysext.conf = [SysExt]\nMutable=ephemeral\n`), newer: "sysext.conf"},
			{name: "a drop-in", scene: all(a, `etc/systemd/sysext.conf = [SysExt]\nMutable=no\n`, `etc/systemd/sysext.conf.d/x.conf = [SysExt]\nMutable=ephemeral\n`), newer: "sysext.conf"},
			{name: "the vendor's", scene: all(a, `usr/lib/systemd/sysext.conf = [SysExt]\nMutable=ephemeral\n`), newer: "sysext.conf"},
			{name: "the environment before sysext.conf", scene: all(a, `etc/systemd/sysext.conf = [SysExt]\nMutable=yes\n`), steps: with("SYSTEMD_SYSEXT_MUTABLE_MODE=no")},
			{name: "confext.conf", confext: true, scene: all(conf(confexts+"a"), `etc/systemd/confext.conf = [ConfExt]\nMutable=ephemeral\n`), newer: "sysext.conf"},
			{name: "the other class's file", scene: all(a, `etc/systemd/confext.conf = [ConfExt]\nMutable=ephemeral\n`)},
			{name: "nonsense in sysext.conf", scene: all(a, `etc/systemd/sysext.conf = [SysExt]\nMutable=nonsense\n`)},
		},
	}
	var cases []spec
	for _, rule := range sortedKeys(rules) {
		for _, c := range rules[rule] {
			c.rule = rule
			cases = append(cases, c)
		}
	}
	return cases
}

// outputCases are of section 2.8: what the commands print.
func outputCases() []spec {
	a, b := ext(extensions+"a"), release(extensions+"b_1.0", "b", anyHost, "opt/b")
	var cases []spec
	for _, c := range []spec{
		{name: "status of nothing", newer: "empty lists", steps: steps("status", "--no-legend status", "--json=short status")},
		{name: "status of a merge", scene: all(a, b), steps: steps("merge", "--no-legend status", "unmerge")},
		{name: "status by default", newer: "empty lists", scene: all(a, b), steps: steps("--json=pretty", "--json=short")},
		{name: "status without a hierarchy", scene: all(a, "remove opt"), steps: steps("--json=short status", "merge", "unmerge"), newer: "empty lists"},
		{name: "status of confexts", confext: true, scene: conf(confexts + "a"), steps: steps("--json=pretty status", "merge", "unmerge"), newer: "empty lists"},
		{name: "status where nothing is written", scene: ext(extensions+"a", "opt/a"), steps: steps("--mutable=ephemeral merge", "unmerge")},
		{name: "list of nothing", list: true, steps: steps("list", "--json=short list")},
		{name: "list of all types", list: true, scene: all(a, b, "image "+extensions+"any.raw any.squashfs", "etc/extensions/mask/"), steps: steps("--no-legend list")},
		{name: "list of strangers", list: true, scene: release(extensions+"a", "", `ID=stranger\n`), steps: steps("--json=short list")},
		{name: "list of confexts", list: true, confext: true, scene: conf(confexts + "a"), steps: steps("--json=short list", "list")},
		{name: "unknown verb", ours: "exit statuses", steps: steps("nonsense")},
		{name: "unknown option", ours: "exit statuses", steps: steps("--nonsense merge")},
		{name: "too many words", ours: "exit statuses", scene: a, steps: steps("merge now")},
		{name: "unknown form of JSON", ours: "exit statuses", steps: steps("--json=nonsense status")},
		{name: "nonsense for a policy", ours: "exit statuses", scene: a, steps: steps("--image-policy=nonsense merge")},
		{name: "a merge of nothing", steps: steps("merge", "refresh", "unmerge")},
		{name: "reloading is not wanted", scene: a, steps: steps("--no-reload merge", "--no-reload unmerge")},
	} {
		c.rule = "2.8 output"
		cases = append(cases, c)
	}
	look := []string{"usr/share/witness", "opt"}
	for _, c := range []spec{
		{name: "a folder", scene: ext("run/extensions/a", "usr/share/witness/a")},
		{name: "an image", scene: []string{"image run/extensions/any.raw any.squashfs"}},
		{name: "written for a while", newer: "refreshes are skipped", scene: ext("run/extensions/a", "usr/share/witness/a", "opt/a"), steps: steps("--mutable=ephemeral merge", "usr/share/witness/b = b | --mutable=ephemeral refresh", "unmerge")},
		{name: "opt", scene: ext("run/extensions/a", "opt/a")},
		{name: "one among others", scene: all(ext("run/extensions/a", "usr/share/witness/a"), release("run/extensions/b", "", `ID=stranger\n`)), steps: steps("refresh", "refresh", "unmerge")},
		{name: "confext", confext: true, scene: conf("run/confexts/a", "etc/witness/a")},
		{name: "a link to a folder", scene: all(ext("srv/a", "usr/share/witness/a"), "run/extensions/a -> /srv/a")},
		{name: "a link to a folder of another name", scene: all(release("srv/other", "a", anyHost, "usr/share/witness/a"), "run/extensions/a -> /srv/other")},
		{name: "a link to an image", scene: all("image srv/any.raw any.squashfs", "run/extensions/any.raw -> /srv/any.raw")},
		{name: "a link to an image of another name", scene: all("image srv/other any.squashfs", "run/extensions/any.raw -> /srv/other")},
		{name: "a block device", newer: "block devices", scene: all("block run/extensions/any any.squashfs")},
		{name: "a link to itself", scene: all("run/extensions/a -> a", ext("run/extensions/b")), ours: "isolation"},
	} {
		c.rule, c.running, c.looks = "2.8 the running system", true, look
		if c.confext {
			c.looks = []string{"etc/witness"}
		}
		cases = append(cases, c)
	}
	return cases
}
