package layering_test

import "inlay/test/layering/scene"

// failCases are of section 2.4: what is passed over, and what stops everything.
func failCases() []spec {
	b := ext(extensions + "b")
	image := func(name string) string { return "image " + extensions + "a.raw " + name }
	var cases []spec
	for _, c := range []spec{
		{name: "a foreign folder beside", ours: "reasons", says: "stranger", scene: all(release(extensions+"a", "", `ID=stranger\n`), b)},
		{name: "a folder without a release file beside", scene: all(extensions+"a/usr/share/a = a", b)},
		{name: "a foreign image beside", scene: all("image "+extensions+"stranger.raw stranger.squashfs", b)},
		{name: "only a foreign one", ours: "reasons", says: "stranger", scene: release(extensions+"a", "", `ID=stranger\n`)},
		{name: "two foreign ones", scene: all(release(extensions+"a", "", `ID=stranger\n`), release(extensions+"c", "", `ID=stranger\n`))},
		{name: "an empty image", scene: all(extensions+"a.raw = ", b), ours: "isolation"},
		{name: "no image at all", scene: all(extensions+"a.raw = no image", b), ours: "isolation"},
		{name: "an image of another name", scene: all(image("any.squashfs"), b), ours: "isolation"},
		{name: "half an image", scene: all(image("half.squashfs"), b), ours: "isolation"},
		{name: "a swap partition", scene: all(image("swap.raw"), b), ours: "isolation"},
		{name: "an empty file system", scene: all(image("empty.ext4"), b), ours: "isolation"},
		{name: "an image that is a system", scene: all("image "+extensions+"system.raw system.squashfs", b), ours: "reasons", says: "os-release"},
		{name: "a folder that is a system", scene: all(ext(extensions+"a", `usr/lib/os-release = ID=evil\n`), b), ours: "isolation"},
		{name: "a folder that is a system by a link", scene: all(ext(extensions+"a", "etc/os-release -> /usr/share/a"), b)},
		{name: "partitions of another architecture", ours: "architecture of partitions", scene: all("image "+extensions+"any.raw arm64.gpt", b)},
		{name: "merged already", scene: b, steps: steps("merge", "merge", "unmerge")},
		{name: "not merged at all", scene: b, steps: steps("unmerge", "refresh", "unmerge")},
		{name: "an image under a policy", ours: "isolation", scene: all("image "+extensions+"any.raw any.squashfs", b), steps: steps("--image-policy=root=signed:usr=absent merge", "unmerge")},
		{name: "a folder under a policy of signed images", ours: "folders under a policy", scene: b, steps: steps("--image-policy=root=signed:usr=absent merge", "unmerge")},
		{name: "a folder under a policy of hash trees", ours: "folders under a policy", scene: b, steps: steps("--image-policy=root=verity:usr=absent merge", "unmerge")},
		{name: "a folder under a policy of bare images", scene: b, steps: steps("--image-policy=root=unprotected:usr=absent merge", "unmerge")},
		{name: "a folder where a key is trusted", ours: "policy by default", scene: all("image etc/verity.d/acme.crt acme.crt", b)},
		{name: "an image where a key is trusted", ours: "policy by default", scene: []string{"image etc/verity.d/acme.crt acme.crt", "image " + extensions + "any.raw any.gpt"}},
		{name: "a policy that forbids nothing", scene: all("image "+extensions+"any.raw any.squashfs", b), steps: steps("--image-policy=* merge", "unmerge")},
	} {
		c.rule = "2.4 what fails"
		cases = append(cases, c)
	}
	return cases
}

// overlayCases are of section 2.5: what is laid over what, and how.
func overlayCases() []spec {
	file := func(name, at string) []string { return ext(extensions+name, at) }
	both := func(names ...string) []string {
		var lines []string
		for _, n := range names {
			lines = append(lines, file(n, "usr/share/both")...)
		}
		return lines
	}
	refreshed := steps("merge", "refresh", "unmerge")
	rules := map[string][]spec{
		"2.5 order": {
			{name: "the later name wins", scene: both("a", "b")},
			{name: "by numbers", scene: both("a9", "a10")},
			{name: "a release after its candidate", scene: all(release(extensions+"app_1~rc", "app", anyHost, "usr/share/both = rc"),
				release(extensions+"app_1", "app", anyHost, "usr/share/both = 1"))},
			{name: "capitals first", scene: both("b", "B")},
			{name: "hyphens", scene: both("a-1", "a.1", "a1", "a")},
			{name: "not by folders", scene: all(ext("etc/extensions/a", "usr/share/both"), ext("run/extensions/b", "usr/share/both"))},
			{name: "over the host", scene: file("a", "usr/share/host")},
			{name: "images and folders", scene: all("image "+extensions+"any.raw any.squashfs", ext(extensions+"aaa", "usr/share/any = aaa"), ext(extensions+"zzz", "usr/share/any = zzz"))},
			{name: "ten of them", scene: both("e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8", "e9", "e10")},
		},
		"2.5 hierarchies": {
			{name: "usr only", scene: ext(extensions + "a")},
			{name: "usr and opt", scene: ext(extensions+"a", "opt/a")},
			{name: "opt of one of two", scene: all(ext(extensions+"a", "opt/a"), ext(extensions+"b"))},
			{name: "an empty opt in it", scene: ext(extensions+"a", "opt/")},
			{name: "the host has no opt", ours: "nothing is left", scene: all("remove opt", ext(extensions+"a", "opt/a"))},
			{name: "the host has an empty opt", scene: all("remove opt/host", ext(extensions+"a", "opt/a"))},
			{name: "the host's opt is a link", ours: "names of hierarchies", scene: all("remove opt", "srv/opt/host = host", "opt -> srv/opt", ext(extensions+"a", "opt/a"))},
			{name: "an extension's opt is a link", scene: ext(extensions+"a", "srv/x = x", "opt -> srv")},
			{name: "other folders are left out", scene: ext(extensions+"a", "etc/a", "srv/a", "home/a/b")},
			{name: "etc of a confext", confext: true, scene: conf(confexts+"a", "usr/share/x", "opt/x")},
			{name: "both classes", scene: all(ext(extensions+"a"), conf(confexts+"b"))},
		},
		"2.5 hierarchies of the environment": {
			{name: "one", ours: "nothing is left", scene: ext(extensions+"a", "srv/a", "opt/a"), steps: with("SYSTEMD_SYSEXT_HIERARCHIES=/srv")},
			{name: "two", scene: all("srv/host = host", ext(extensions+"a", "srv/a", "opt/a")), steps: with("SYSTEMD_SYSEXT_HIERARCHIES=/srv:/opt")},
			{name: "deeper ones", scene: ext(extensions+"a", "usr/bin/a"), steps: with("SYSTEMD_SYSEXT_HIERARCHIES=/usr/bin:/usr/share")},
			{name: "an empty list", ours: "empty variables", scene: ext(extensions + "a"), steps: with("SYSTEMD_SYSEXT_HIERARCHIES=")},
			{name: "the root", scene: ext(extensions + "a"), steps: with("SYSTEMD_SYSEXT_HIERARCHIES=/")},
			{name: "relative", scene: ext(extensions + "a"), steps: with("SYSTEMD_SYSEXT_HIERARCHIES=usr")},
			{name: "not normal", scene: ext(extensions + "a"), steps: with("SYSTEMD_SYSEXT_HIERARCHIES=/srv/../usr")},
			{name: "twice the same", ours: "each hierarchy once", scene: ext(extensions + "a"), steps: with("SYSTEMD_SYSEXT_HIERARCHIES=/usr:/usr")},
			{name: "the other class's", scene: ext(extensions+"a", "srv/a"), steps: with("SYSTEMD_CONFEXT_HIERARCHIES=/srv")},
			{name: "nothing in it", scene: ext(extensions + "a"), steps: with("SYSTEMD_SYSEXT_HIERARCHIES=/opt")},
			{name: "confext", confext: true, ours: "nothing is left", scene: conf(confexts+"a", "srv/a"), steps: with("SYSTEMD_CONFEXT_HIERARCHIES=/srv:/etc")},
		},
		"2.5 conflicts": {
			{name: "a file over a file", scene: file("a", "usr/bin/tool")},
			{name: "a file over a link", scene: all("usr/bin/link -> tool", file("a", "usr/bin/link"))},
			{name: "a link over a file", scene: ext(extensions+"a", "usr/bin/tool -> /bin/true")},
			{name: "a link over a link", scene: all("usr/bin/link -> tool", ext(extensions+"a", "usr/bin/link -> other"))},
			{name: "a folder over a folder", scene: all("usr/share/d/host = host", file("a", "usr/share/d/a"))},
			{name: "a folder over a file", scene: file("a", "usr/bin/tool/x")},
			{name: "a file over a folder", scene: all("usr/share/d/host = host", file("a", "usr/share/d")), ours: "safe content"},
			{name: "a folder over a link", scene: all("usr/lib64/x = x", "usr/lib32 -> lib64", file("a", "usr/lib32/a")), ours: "safe content"},
			{name: "two extensions' folders", scene: all(file("a", "usr/share/d/a"), file("b", "usr/share/d/b"))},
			{name: "a file over another's folder", ours: "safe content", scene: all(file("a", "usr/share/d/a"), file("b", "usr/share/d"))},
			{name: "a whiteout", scene: ext(extensions+"a", "char usr/share/host 0 0"), ours: "safe content"},
			{name: "an opaque folder", scene: all("usr/share/d/host = host", ext(extensions+"a", "usr/share/d/a", "xattr usr/share/d trusted.overlay.opaque y")), ours: "safe content"},
			{name: "a FIFO", scene: ext(extensions+"a", "fifo usr/share/fifo")},
			{name: "a device", scene: ext(extensions+"a", "char usr/share/null 1 3")},
		},
		"2.5 attributes": {
			{name: "of the hierarchy", scene: all("mode usr 0711", ext(extensions+"a"))},
			{name: "of a new folder", scene: ext(extensions+"a", "usr/share/d/x", "mode usr/share/d 0700", "owner usr/share/d 7 8")},
			{name: "of a shared folder", scene: ext(extensions+"a", "mode usr/share 0700"), show: []string{"usr/share"}, ours: "attributes of folders"},
			{name: "the owner of a shared folder", scene: ext(extensions+"a", "owner usr/share 7 8"), show: []string{"usr/share"}, ours: "attributes of folders"},
			{name: "of a file", scene: ext(extensions+"a", "usr/bin/a", "mode usr/bin/a 4755", "owner usr/bin/a 0 5")},
			{name: "of a file over the host's", scene: ext(extensions+"a", "usr/bin/tool", "mode usr/bin/tool 0600", "owner usr/bin/tool 5 5")},
			{name: "extended ones", scene: ext(extensions+"a", "usr/bin/a", "xattr usr/bin/a user.colour blue", "xattr usr/bin/a trusted.secret x")},
			{name: "of the extension's hierarchy", scene: ext(extensions+"a", "mode usr 0700", "owner usr 5 5"), show: []string{"usr"}},
			{name: "of opt in one of two", scene: all(ext(extensions+"a", "opt/a", "mode opt 0700"), ext(extensions+"b", "opt/b")), show: []string{"opt"}},
		},
		"2.5 noexec": {
			{name: "by default", scene: ext(extensions + "a")},
			{name: "wanted", scene: ext(extensions + "a"), steps: steps("--noexec=yes merge", "unmerge")},
			{name: "not wanted", scene: ext(extensions + "a"), steps: steps("--noexec=no merge", "unmerge")},
			{name: "nonsense", ours: "exit statuses", scene: ext(extensions + "a"), steps: steps("--noexec=perhaps merge")},
			{name: "confext by default", confext: true, scene: conf(confexts + "a")},
			{
				name: "confext where init runs scripts", confext: true, ours: "scripts of init",
				scene: all(conf(confexts+"a"), "etc/init.d/rcS = script", "bin/busybox = busybox", "sbin/init -> /bin/busybox"),
			},
			{name: "confext not wanted", confext: true, scene: conf(confexts + "a"), steps: steps("--noexec=0 merge", "unmerge")},
			{name: "with something to write to", scene: ext(extensions+"a", "opt/a"), steps: steps("--noexec=1 --mutable=ephemeral merge", "unmerge")},
			{name: "kept by a refresh", scene: ext(extensions + "a"), steps: steps("--noexec=1 merge", "--noexec=1 refresh", "unmerge")},
		},
		"2.5 mount options": {
			{name: "added", scene: ext(extensions + "a"), steps: with("SYSTEMD_SYSEXT_OVERLAYFS_MOUNT_OPTIONS=xino=on"), newer: "mount options"},
			{name: "two", scene: ext(extensions + "a"), steps: with("SYSTEMD_SYSEXT_OVERLAYFS_MOUNT_OPTIONS=xino=off,metacopy=on"), newer: "mount options"},
			{name: "empty", scene: ext(extensions + "a"), steps: with("SYSTEMD_SYSEXT_OVERLAYFS_MOUNT_OPTIONS=")},
			{
				name: "instead of those of a mutable one", scene: ext(extensions + "a"), newer: "mount options",
				steps: steps("SYSTEMD_SYSEXT_OVERLAYFS_MOUNT_OPTIONS=xino=off --mutable=ephemeral merge", "unmerge"),
			},
			{
				name: "none for a mutable one", ours: "empty variables", scene: ext(extensions + "a"), newer: "mount options",
				steps: steps("SYSTEMD_SYSEXT_OVERLAYFS_MOUNT_OPTIONS= --mutable=ephemeral merge", "unmerge"),
			},
			{name: "nonsense", scene: ext(extensions + "a"), steps: with("SYSTEMD_SYSEXT_OVERLAYFS_MOUNT_OPTIONS=nonsense=1"), newer: "mount options"},
			{name: "the other class's", scene: ext(extensions + "a"), steps: with("SYSTEMD_CONFEXT_OVERLAYFS_MOUNT_OPTIONS=xino=off")},
		},
		"2.5 submounts": {
			{name: "a tmpfs", scene: all("tmpfs usr/share/t", "usr/share/t/x = x", ext(extensions+"a")), steps: refreshed},
			{name: "a bind", scene: all("srv/data/x = x", "usr/share/t/", "bind srv/data usr/share/t", ext(extensions+"a")), steps: refreshed},
			{name: "over what an extension brings", scene: all("tmpfs usr/share/t", "usr/share/t/x = x", ext(extensions+"a", "usr/share/t/hidden")), steps: refreshed},
			{name: "one in another", scene: all("tmpfs usr/share/t", "tmpfs usr/share/t/u", "usr/share/t/u/x = x", ext(extensions+"a")), steps: refreshed, newer: "nested mounts"},
			{name: "two beside each other", scene: all("tmpfs usr/share/t", "tmpfs usr/lib/u", "usr/lib/u/x = x", ext(extensions+"a")), steps: refreshed},
			{
				name: "one that only reads", scene: all("tmpfs usr/share/t", "usr/share/t/x = x", "readonly usr/share/t", ext(extensions+"a")),
				steps: steps("merge", "usr/share/t/y = y | refresh", "unmerge"),
			},
			{name: "one that can be written to", scene: all("tmpfs usr/share/t", ext(extensions+"a")), steps: steps("merge", "usr/share/t/y = y | refresh", "unmerge")},
			{name: "the hierarchy is one itself", scene: all("remove opt/host", "tmpfs opt", "opt/host = host", ext(extensions+"a", "opt/a")), steps: refreshed},
			{name: "mounted after the merge", scene: all("usr/share/t/", ext(extensions+"a")), steps: steps("merge", "tmpfs usr/share/t; usr/share/t/x = x | refresh", "unmerge")},
			{name: "a file", scene: all("srv/data = data", ext(extensions+"a"))},
		},
		"2.5 limits": {
			{name: "a colon in a name", scene: ext(extensions + "a:b"), ours: "limits lifted"},
			{name: "a comma in a name", scene: ext(extensions + "a,b"), ours: "limits lifted"},
			{name: "a backslash in a name", scene: ext(extensions + `a\b`), ours: "limits lifted"},
			{name: "sixty long names", scene: crowd(60, 100), ours: "limits lifted"},
			{name: "forty short names", scene: crowd(40, 4)},
			{name: "mounts that nobody else sees", scene: all("private", ext(extensions+"a")), ours: "private mounts"},
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

// with is a merge and an unmerge with a variable of the environment.
func with(variable string) []scene.Step {
	return steps(variable+" merge", variable+" unmerge")
}
