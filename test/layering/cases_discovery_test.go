package layering_test

import (
	"strings"

	"inlay/test/layering/scene"
)

// findCases are of section 2.1: where extensions are looked for, and what is one.
func findCases() []spec {
	a := func(folder string, files ...string) []string {
		return ext(folder+"/a", append(files, "usr/share/where = "+folder)...)
	}
	cases := []spec{
		{rule: "2.1 folders", name: "etc", scene: a("etc/extensions")},
		{rule: "2.1 folders", name: "run", scene: a("run/extensions")},
		{rule: "2.1 folders", name: "var", scene: a("var/lib/extensions")},
		{rule: "2.1 folders", name: "those of old are none", ours: "folders of old", scene: all(a("usr/lib/extensions"), a("usr/local/lib/extensions"))},
		{rule: "2.1 folders", name: "etc before run", scene: all(a("run/extensions"), a("etc/extensions"))},
		{rule: "2.1 folders", name: "run before var", scene: all(a("var/lib/extensions"), a("run/extensions"))},
		{rule: "2.1 folders", name: "all three, and others beside", scene: all(
			a("var/lib/extensions"), a("run/extensions"), a("etc/extensions"), ext("run/extensions/b"), ext("var/lib/extensions/c"))},
		{rule: "2.1 folders", name: "a raw image before a folder", scene: all("image etc/extensions/any.raw any.squashfs", ext("var/lib/extensions/any"))},
		{rule: "2.1 folders", name: "one that is a link", scene: all("var/lib/extensions -> ../../data", a("data"))},
		{rule: "2.1 folders", name: "one that is a link out of the root", ours: "links out of the root", scene: all("var/lib/extensions -> /../../data", a("data"))},
		{rule: "2.1 folders", name: "one that is a file", ours: "isolation", scene: all("var/lib/extensions = x", a("run/extensions"))},
		{rule: "2.1 folders", name: "one that is a link to nothing", scene: all("var/lib/extensions -> /nothing", a("run/extensions"))},
		{rule: "2.1 folders", name: "none at all"},
		{rule: "2.1 folders", name: "empty ones", scene: []string{"etc/extensions/", "run/extensions/", "var/lib/extensions/"}},

		{rule: "2.1 confext folders", name: "run", confext: true, scene: conf("run/confexts/a")},
		{rule: "2.1 confext folders", name: "var", confext: true, scene: conf("var/lib/confexts/a")},
		{rule: "2.1 confext folders", name: "usr/local", confext: true, scene: conf("usr/local/lib/confexts/a")},
		{rule: "2.1 confext folders", name: "usr", confext: true, scene: conf("usr/lib/confexts/a")},
		{rule: "2.1 confext folders", name: "never etc", confext: true, scene: conf("etc/confexts/a")},
		{rule: "2.1 confext folders", name: "none of sysexts", confext: true, scene: all(conf("var/lib/extensions/a"), ext("var/lib/extensions/b"))},
		{rule: "2.1 confext folders", name: "in their order", confext: true, scene: all(
			conf("run/confexts/a", "etc/where = run"), conf("var/lib/confexts/a", "etc/where = var"), conf("usr/lib/confexts/a", "etc/where = usr"))},
		{
			rule: "2.1 confext folders", name: "an initrd has no usr/lib", confext: true, scene: all(initrd(), conf("usr/lib/confexts/a"), conf(".extra/confext/b")),
			steps: steps("SYSTEMD_IN_INITRD=1 merge", "SYSTEMD_IN_INITRD=1 unmerge"),
		},

		{rule: "2.1 initrd", name: "extra sysexts", scene: all(initrd(), initrdExt(".extra/sysext/a")), steps: inInitrd()},
		{rule: "2.1 initrd", name: "extra global ones", scene: all(initrd(), initrdExt(".extra/global_sysext/a")), steps: inInitrd(), newer: "global extensions"},
		{rule: "2.1 initrd", name: "not on a system", scene: ext(".extra/sysext/a")},
		{rule: "2.1 initrd", name: "with those elsewhere", scene: all(initrd(), initrdExt(".extra/sysext/a"), initrdExt("var/lib/extensions/b")), steps: inInitrd()},
		{rule: "2.1 initrd", name: "last of all", scene: all(initrd(), initrdExt(".extra/sysext/a", "usr/share/where = extra"),
			initrdExt("etc/extensions/a", "usr/share/where = etc")), steps: inInitrd()},
		{rule: "2.1 initrd", name: "for a system only", scene: all(initrd(), ext("var/lib/extensions/a")), steps: inInitrd()},
	}
	for _, c := range []spec{
		{name: "plain", scene: ext(extensions + "plain")},
		{name: "with a version", scene: release(extensions+"app_1.0", "app", anyHost)},
		{name: "a class suffix of a folder", scene: ext(extensions + "app.sysext")},
		{name: "a class suffix of an image", scene: []string{"image " + extensions + "any.sysext.raw any.squashfs"}},
		{name: "the other class's suffix", scene: ext(extensions + "app.confext")},
		{name: "the suffix of an image on a folder", scene: ext(extensions + "app.raw")},
		{name: "only the suffix of an image", scene: ext(extensions + ".raw")},
		{name: "beginning with a dot", scene: ext(extensions + ".hidden")},
		{name: "beginning with a dot and a hash", scene: all(ext(extensions+".#temporary"), ext(extensions+"b"))},
		{name: "a blank", scene: ext(extensions+"with blank", "usr/share/x")},
		{name: "a control character", scene: all(ext(extensions+"a\x01b"), ext(extensions+"c"))},
		{name: "letters of the world", scene: ext(extensions + "größe")},
		{name: "long", scene: ext(extensions + strings.Repeat("n", 200))},
		{name: "upper case", scene: all(ext(extensions+"B"), ext(extensions+"a"))},
		{name: "what an update leaves", scene: all(ext(extensions+".sysupdate.partial.x"), ext(extensions+"b")), newer: "files of updates"},
		{name: "twice in one folder", scene: all(ext(extensions+"a", "usr/share/x = 1"), ext(extensions+"a.sysext", "usr/share/x = 2"))},
		{name: "twice in one folder, the other way round", ours: "one name twice", scene: all(ext(extensions+"a.sysext", "usr/share/x = 2"), ext(extensions+"a", "usr/share/x = 1"))},
		{name: "a backup", scene: all(ext(extensions+"a~"), ext(extensions+"b"))},
	} {
		c.rule = "2.1 names"
		cases = append(cases, c)
	}
	for _, c := range []spec{
		{name: "a squashfs", scene: []string{"image " + extensions + "any.raw any.squashfs"}},
		{name: "an erofs", scene: []string{"image " + extensions + "any.raw any.erofs"}},
		{name: "an ext4", scene: []string{"image " + extensions + "any.raw any.ext4"}},
		{name: "a partition table", scene: []string{"image " + extensions + "any.raw any.gpt"}},
		{name: "a btrfs", scene: []string{"image " + extensions + "any.raw any.btrfs"}},
		{name: "an image without the suffix", scene: all("image "+extensions+"any any.squashfs", ext(extensions+"b"))},
		{name: "an image with another suffix", scene: all("image "+extensions+"any.img any.squashfs", ext(extensions+"b"))},
		{name: "a FIFO", scene: all("fifo "+extensions+"a.raw", "fifo "+extensions+"c", ext(extensions+"b"))},
		{name: "a character device", scene: all("char "+extensions+"a.raw 1 3", ext(extensions+"b"))},
		{name: "a file beside", scene: all(extensions+"README = x", extensions+"a.txt = x", ext(extensions+"b"))},
		{name: "a folder of the suffix of versions, without any", scene: all(extensions+"a.v/", ext(extensions+"b"))},
		{name: "a stack of mounts", scene: all(extensions+"a.mstack/", ext(extensions+"b")), newer: "stacks of mounts", ours: "isolation"},
		{name: "folders and images together", scene: all("image "+extensions+"any.raw any.erofs", ext(extensions+"zzz"), ext(extensions+"aaa"))},
	} {
		c.rule = "2.1 types"
		cases = append(cases, c)
	}
	for _, c := range []spec{
		{name: "to a folder", newer: "links in the root", scene: all(ext("srv/a"), extensions+"a -> /srv/a")},
		{name: "to a folder, relative", newer: "links in the root", scene: all(ext("srv/a"), extensions+"a -> ../../../srv/a")},
		{name: "to a folder of another name", newer: "links in the root", scene: all(release("srv/other", "a", anyHost), extensions+"a -> /srv/other")},
		{name: "to an image", newer: "links in the root", scene: []string{"image srv/any.raw any.squashfs", extensions + "any.raw -> /srv/any.raw"}},
		{name: "to an image of another name", newer: "links in the root", scene: []string{"image srv/other.raw any.squashfs", extensions + "any.raw -> /srv/other.raw"}},
		{name: "to an image without a suffix", scene: all("image srv/other any.squashfs", extensions+"any.raw -> /srv/other", ext(extensions+"b")), newer: "links in the root"},
		{name: "to an image, without a suffix of its own", scene: all("image srv/any.raw any.squashfs", extensions+"any -> /srv/any.raw", ext(extensions+"b"))},
		{name: "to nothing", scene: all(extensions+"a -> /nothing", ext(extensions+"b"))},
		{name: "to itself", newer: "links that lead nowhere", ours: "isolation", scene: all(extensions+"a -> a", ext(extensions+"b"))},
		{name: "through another", newer: "links in the root", scene: all(ext("srv/a"), "srv/current -> a", extensions+"a -> /srv/current")},
		{name: "out of the root", ours: "links out of the root", newer: "links in the root", scene: all(ext("srv/a"), extensions+"a -> /../../../srv/a")},
		{name: "to a character device", scene: all(extensions+"a.raw -> /dev/zero", "char dev/zero 1 5", ext(extensions+"b"))},
		{name: "a folder with the suffix of a folder's link", scene: all(ext("srv/a"), extensions+"a.raw -> /srv/a"), newer: "links in the root"},
	} {
		c.rule = "2.1 links"
		cases = append(cases, c)
	}
	for _, c := range []spec{
		{name: "an empty folder", scene: all("etc/extensions/a/", a("var/lib/extensions"))},
		{name: "an empty folder beside others", scene: all("etc/extensions/a/", a("var/lib/extensions"), ext(extensions+"b"))},
		{name: "an empty folder hides an image", scene: all("etc/extensions/any/", "image "+extensions+"any.raw any.squashfs", ext(extensions+"b"))},
		{name: "an empty folder with the class's suffix", scene: all("etc/extensions/a.sysext/", a("var/lib/extensions"), ext(extensions+"b"))},
		{name: "in run", scene: all("run/extensions/a/", a("var/lib/extensions"), a("etc/extensions"))},
		{name: "a link to nothing does not", scene: all("etc/extensions/a -> /dev/null", a("var/lib/extensions"))},
		{name: "a link to a device does not", scene: all("char dev/null 1 3", "etc/extensions/a.raw -> /dev/null", a("var/lib/extensions"))},
		{name: "a file without a suffix does not", scene: all("etc/extensions/a = ", a("var/lib/extensions"))},
		{name: "an empty image breaks", scene: all("etc/extensions/a.raw = ", a("var/lib/extensions"), ext(extensions+"b")), ours: "isolation"},
		{name: "a link to an empty folder", newer: "links in the root", scene: all("srv/empty/", "etc/extensions/a -> /srv/empty", a("var/lib/extensions"), ext(extensions+"b"))},
		{name: "confext", confext: true, scene: all("run/confexts/a/", conf(confexts+"a"), conf(confexts+"b"))},
	} {
		c.rule = "2.1 masking"
		cases = append(cases, c)
	}
	for _, c := range []spec{
		{name: "one", scene: []string{"block " + extensions + "any any.squashfs"}},
		{name: "with the suffix of an image", scene: []string{"block " + extensions + "any.raw any.squashfs"}},
		{name: "a link", scene: []string{"block dev/disk any.squashfs", extensions + "any -> /dev/disk"}},
		{name: "a link with the suffix", scene: []string{"block dev/disk any.erofs", extensions + "any.raw -> /dev/disk"}},
		{name: "before a folder", scene: all("block etc/extensions/any any.squashfs", release(extensions+"any", "", anyHost, "usr/share/where = var"))},
		{name: "beside others", scene: all("block "+extensions+"any any.ext4", ext(extensions+"b"))},
		{name: "with partitions", scene: []string{"block " + extensions + "any any.gpt"}},
	} {
		c.rule, c.newer = "2.1 block devices", "block devices"
		cases = append(cases, c)
	}
	data := func(lines ...string) []string {
		return append([]string{"mount var/lib/extensions btrfs.empty"}, lines...)
	}
	for _, c := range []spec{
		{name: "a subvolume", scene: data(all("subvolume "+extensions+"a", ext(extensions+"a"))...)},
		{name: "a folder", scene: data(ext(extensions + "a")...)},
		{name: "both", scene: data(all("subvolume "+extensions+"a", ext(extensions+"a"), ext(extensions+"b"))...)},
		{name: "an empty subvolume masks nothing before it", scene: data(all("subvolume "+extensions+"a", ext("etc/extensions/a"), ext(extensions+"b"))...)},
		{name: "an empty subvolume masks", scene: all("mount run/extensions btrfs.empty", "subvolume run/extensions/a", ext(extensions+"a"), ext(extensions+"b"))},
		{name: "with the class's suffix", scene: data(all("subvolume "+extensions+"a.sysext", ext(extensions+"a.sysext"))...)},
		{name: "with the suffix of an image", scene: data(all("subvolume "+extensions+"a.raw", ext(extensions+"a.raw"))...)},
		{name: "versions", scene: data(all("subvolume "+extensions+"a.v", "subvolume "+extensions+"a.v/a_1", release(extensions+"a.v/a_1", "a", anyHost),
			"subvolume "+extensions+"a.v/a_2", release(extensions+"a.v/a_2", "a", anyHost))...)},
		{
			name: "what is written", steps: steps("--mutable=auto merge", "usr/new = x | --mutable=auto refresh", "unmerge"),
			scene: all("mount var/lib/extensions.mutable btrfs.empty", "var/lib/extensions.mutable/usr/", ext(extensions+"a", "opt/a")),
		},
		{name: "a link to one", newer: "links in the root", scene: all("mount data btrfs.empty", "subvolume data/a", ext("data/a"), extensions+"a -> /data/a")},
		{
			name: "a subvolume has no room beside it for what is written", scene: all("mount data btrfs.empty", "subvolume data/usr", "var/lib/extensions.mutable/usr -> /data/usr", ext(extensions+"a", "opt/a")),
			steps: steps("--mutable=auto merge", "usr/new = x | --mutable=auto refresh", "unmerge"),
		},
	} {
		c.rule = "2.1 btrfs"
		cases = append(cases, c)
	}
	for i := range cases {
		cases[i].list = true
	}
	return cases
}

func initrd() []string {
	return []string{"etc/initrd-release -> ../usr/lib/os-release"}
}

func inInitrd() []scene.Step {
	return steps("SYSTEMD_IN_INITRD=1 merge", "SYSTEMD_IN_INITRD=1 unmerge")
}

// initrdExt is an extension for an initrd.
func initrdExt(at string, files ...string) []string {
	return release(at, "", anyHost+`SYSEXT_SCOPE="initrd"\n`, files...)
}
