package layering_test

// versionCases are of section 2.1, too: folders of versions, of which one is picked.
func versionCases() []spec {
	// folder makes versions of "a", each with a file that tells which.
	folder := func(at string, versions ...string) []string {
		var lines []string
		for _, v := range versions {
			lines = append(lines, release(at+"/"+v, "a", anyHost, "usr/share/which = "+v)...)
		}
		return lines
	}
	v := extensions + "a.v"
	cases := []spec{
		{name: "the newest", scene: folder(v, "a_1", "a_3", "a_2")},
		{name: "numbers, not letters", scene: folder(v, "a_9", "a_10")},
		{name: "longer ones", scene: folder(v, "a_1.2", "a_1.2.1", "a_1.1.9")},
		{name: "a pre-release", scene: folder(v, "a_1.0~rc1", "a_0.9"), newer: "tilde in versions"},
		{name: "after a release", scene: folder(v, "a_1.0^post", "a_1.0"), newer: "tilde in versions"},
		{name: "none that fits", scene: all(folder(v, "b_1"), ext(extensions+"b"))},
		{name: "none that fits doesn't shadow", scene: all("etc/extensions/a.v/", ext(extensions+"a"))},
		{name: "this architecture's", scene: folder(v, "a_1_x86-64", "a_2_arm64")},
		{name: "any architecture's", scene: folder(v, "a_2", "a_1_x86-64")},
		{name: "this architecture's before any", scene: folder(v, "a_1", "a_1_x86-64")},
		{name: "the second architecture", scene: folder(v, "a_1_x86")},
		{name: "this architecture's before the second", scene: folder(v, "a_1_x86", "a_1_x86-64")},
		{name: "no architecture", scene: folder(v, "a_2.0_zzz", "a_1.0")},
		{name: "tries left", scene: folder(v, "a_1+3", "a_2+0")},
		{name: "no tries left at all", scene: folder(v, "a_1+0", "a_2+0-5")},
		{name: "more tries", scene: folder(v, "a_1+2", "a_1+3")},
		{name: "fewer done", scene: folder(v, "a_1+2-1", "a_1+2-3")},
		{name: "no counter is better than none left", scene: folder(v, "a_1", "a_2+0-2")},
		{name: "counters that aren't", scene: folder(v, "a_1+x", "a_0"), newer: "counters in versions"},
		{name: "no version", scene: folder(v, "a", "a_1")},
		{name: "only without a version", scene: all(folder(v, "a"), ext(extensions+"b"))},
		{name: "an empty version", scene: all(folder(v, "a_"), ext(extensions+"b"))},
		{name: "the class's suffix", scene: folder(extensions+"a.sysext.v", "a_1.sysext", "a_2.sysext", "a_3")},
		{name: "images", scene: []string{
			"image " + extensions + "any.raw.v/any_1.raw any.squashfs", "image " + extensions + "any.raw.v/any_2.raw any.erofs",
		}},
		{name: "images with the class's suffix", scene: []string{
			"image " + extensions + "any.sysext.raw.v/any_1.sysext.raw any.squashfs", "image " + extensions + "any.sysext.raw.v/any_2.raw any.erofs",
		}},
		{name: "images in a folder of folders", scene: all("image "+extensions+"any.v/any_1.raw any.squashfs", ext(extensions+"b"))},
		{name: "links in it", scene: all(release("srv/one", "a", anyHost, "usr/share/which = one"), v+"/a_2 -> /srv/one", folder(v, "a_1")), newer: "links in the root"},
		{name: "a link to nothing in it", scene: all(v+"/a_2 -> /nothing", folder(v, "a_1"))},
		{name: "a link to it", scene: all(folder("srv/a.v", "a_1", "a_2"), extensions+"a.v -> /srv/a.v"), newer: "links in the root"},
		{name: "before what lies in the next folder", scene: all(folder("run/extensions/a.v", "a_1"), ext(extensions+"a", "usr/share/which = plain"))},
		{name: "an empty newest masks", scene: all("etc/extensions/a.v/a_1/", ext(extensions+"a"), ext(extensions+"b"))},
		{name: "a signature beside", scene: all(folder(v, "a_1"), v+"/a_2.txt = x", v+"/SHA256SUMS = x"), newer: "files beside versions"},
		{name: "confext", confext: true, scene: all(confRelease(confexts+"a.v/a_1", "a", anyHost), confRelease(confexts+"a.v/a_2", "a", anyHost, "etc/which = 2"))},
	}
	for i := range cases {
		cases[i].rule, cases[i].list = "2.1 versions", true
	}
	return cases
}
