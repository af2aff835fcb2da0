package layering_test

import "inlay/test/layering/scene"

// releaseCases are of section 2.2: which release file counts.
func releaseCases() []spec {
	const dir = "/usr/lib/extension-release.d/extension-release."
	var cases []spec
	for _, c := range []spec{
		{name: "of the very name", scene: ext(extensions + "a")},
		{name: "up to an underscore", scene: release(extensions+"a_1.0", "a", anyHost)},
		{name: "up to a plus", scene: release(extensions+"a+3", "a", anyHost)},
		{name: "not up to a hyphen", scene: release(extensions+"a-1.0", "a", anyHost)},
		{name: "not up to a dot", scene: release(extensions+"a.1", "a", anyHost)},
		{name: "up to the first of them", scene: release(extensions+"a_1+2_3", "a", anyHost)},
		{name: "not up to the last", scene: release(extensions+"a_1_2", "a_1", anyHost)},
		{name: "the very name counts first", scene: all(release(extensions+"a_1", "a_1", `ID=other\n`), extensions+"a_1"+dir+"a = "+anyHost)},
		{name: "with the class's suffix", scene: release(extensions+"a.sysext", "a.sysext", anyHost)},
		{name: "of another name", scene: release(extensions+"a", "b", anyHost)},
		{name: "none", scene: []string{extensions + "a/usr/share/a = a"}},
		{name: "none, but the folder", scene: []string{extensions + "a/usr/lib/extension-release.d/", extensions + "a/usr/share/a = a"}},
		{name: "a link", scene: all(extensions+"a/usr/share/release = "+anyHost, extensions+"a"+dir+"a -> ../../share/release")},
		{name: "a link to the root", scene: all(extensions+"a/usr/share/release = "+anyHost, extensions+"a"+dir+"a -> /usr/share/release")},
		{name: "a link to nothing", scene: []string{extensions + "a" + dir + "a -> nothing", extensions + "a/usr/share/a = a"}},
		{name: "a link of the base name", scene: all(extensions+"a_1/usr/share/release = "+anyHost, extensions+"a_1"+dir+"a -> ../../share/release")},
		{name: "a folder", scene: []string{extensions + "a" + dir + "a/", extensions + "a/usr/share/a = a"}},
		{name: "empty", scene: release(extensions+"a", "", "")},
		{name: "quoted", scene: release(extensions+"a", "", `# a comment\nID="acme"\nVERSION_ID='7'\n`)},
		{name: "without an end of line", scene: release(extensions+"a", "", `ID=_any`)},
		{name: "twice the same key", scene: release(extensions+"a", "", `ID=other\nID=_any\n`)},
		{name: "not a release file", scene: release(extensions+"a", "", `what\nis this\n`)},
		{name: "a folder of them that is a link", scene: all(extensions+"a/usr/share/d/extension-release.a = "+anyHost,
			extensions+"a/usr/lib/extension-release.d -> ../share/d", extensions+"a/usr/share/a = a")},
		{name: "confext in usr", confext: true, scene: all(release(confexts+"a", "", anyHost), confexts+"a/etc/x = x")},
		{name: "sysext in etc", scene: all(confRelease(extensions+"a", "", anyHost), extensions+"a/usr/share/a = a")},
	} {
		c.rule = "2.2 release file"
		cases = append(cases, c)
	}
	strict := func(value string, more ...string) []string {
		return append(release(extensions+"a", "b", anyHost, "xattr usr/lib/extension-release.d/extension-release.b user.extension-release.strict "+value), more...)
	}
	for _, c := range []spec{
		{name: "false", scene: strict("false")},
		{name: "0", scene: strict("0")},
		{name: "no", scene: strict("no")},
		{name: "off", scene: strict("off")},
		{name: "true", scene: strict("true")},
		{name: "1", scene: strict("1")},
		{name: "nonsense", scene: strict("nonsense")},
		{name: "two that are not", scene: strict("0", extensions+"a"+dir+"c = "+anyHost, "xattr "+extensions+"a"+dir+"c user.extension-release.strict 0")},
		{name: "one of two", scene: strict("0", extensions+"a"+dir+"c = "+anyHost)},
		{name: "beside the base name", scene: all(release(extensions+"a_1", "a", anyHost), extensions+"a_1"+dir+"c = "+anyHost,
			"xattr "+extensions+"a_1"+dir+"c user.extension-release.strict 0")},
		{name: "beside the very name", scene: all(ext(extensions+"a"), extensions+"a"+dir+"c = ID=other",
			"xattr "+extensions+"a"+dir+"c user.extension-release.strict 0")},
	} {
		c.rule = "2.2 strict names"
		cases = append(cases, c)
	}
	return cases
}

// matchCases are of section 2.3: which hosts an extension fits.
func matchCases() []spec {
	rel := func(text string) []string { return release(extensions+"a", "", text) }
	const fits = `ID=acme\nVERSION_ID=7\n`
	host := func(text string) string { return "usr/lib/os-release = " + text }
	rules := map[string][]spec{
		"2.3 scope": {
			{name: "system", scene: rel(fits + `SYSEXT_SCOPE=system\n`)},
			{name: "portable", scene: rel(fits + `SYSEXT_SCOPE=portable\n`)},
			{name: "initrd", scene: rel(fits + `SYSEXT_SCOPE=initrd\n`)},
			{name: "several", scene: rel(fits + `SYSEXT_SCOPE="initrd system"\n`)},
			{name: "empty", scene: rel(fits + `SYSEXT_SCOPE=\n`)},
			{name: "unknown", scene: rel(fits + `SYSEXT_SCOPE=moon\n`)},
			{name: "the other class's", scene: rel(fits + `CONFEXT_SCOPE=initrd\n`)},
			{name: "before any ID", scene: rel(`ID=_any\nSYSEXT_SCOPE=initrd\n`)},
			{name: "initrd, on one", scene: all(initrd(), rel(fits+`SYSEXT_SCOPE=initrd\n`)), steps: inInitrd()},
			{name: "confext", confext: true, scene: all(confRelease(confexts+"a", "", fits+`CONFEXT_SCOPE=initrd\n`), confRelease(confexts+"b", "", fits+`SYSEXT_SCOPE=initrd\n`))},
		},
		"2.3 architecture": {
			{name: "this", scene: rel(fits + `ARCHITECTURE=x86-64\n`)},
			{name: "another", scene: rel(fits + `ARCHITECTURE=arm64\n`)},
			{name: "the second", scene: rel(fits + `ARCHITECTURE=x86\n`)},
			{name: "any", scene: rel(fits + `ARCHITECTURE=_any\n`)},
			{name: "empty", scene: rel(fits + `ARCHITECTURE=\n`)},
			{name: "Debian's word", scene: rel(fits + `ARCHITECTURE=amd64\n`)},
			{name: "the kernel's word", scene: rel(fits + `ARCHITECTURE=x86_64\n`)},
			{name: "native", scene: rel(fits + `ARCHITECTURE=native\n`)},
			{name: "another, of any ID", scene: rel(`ID=_any\nARCHITECTURE=riscv64\n`)},
		},
		"2.3 ID": {
			{name: "the same", scene: rel(`ID=acme\nVERSION_ID=7\n`)},
			{name: "another", scene: rel(`ID=stranger\nVERSION_ID=7\n`)},
			{name: "any", scene: rel(`ID=_any\n`)},
			{name: "any, and a version", scene: rel(`ID=_any\nVERSION_ID=9\n`)},
			{name: "empty", scene: rel(`ID=\nVERSION_ID=7\n`)},
			{name: "none", scene: rel(`VERSION_ID=7\n`)},
			{name: "in capitals", scene: rel(`ID=ACME\nVERSION_ID=7\n`)},
			{name: "SYSEXT_ID counts for nothing", scene: rel(`SYSEXT_ID=acme\nVERSION_ID=7\n`)},
		},
		"2.3 ID_LIKE": {
			{name: "the first word", scene: rel(`ID=base\nVERSION_ID=7\n`)},
			{name: "the second word", scene: rel(`ID=other\nVERSION_ID=7\n`)},
			{name: "another version", scene: rel(`ID=base\nVERSION_ID=6\n`)},
			{name: "the extension's own counts for nothing", scene: rel(`ID=stranger\nID_LIKE=acme\nVERSION_ID=7\n`)},
			{name: "half a word", scene: rel(`ID=bas\nVERSION_ID=7\n`)},
			{name: "a host without any", scene: all(rel(`ID=base\nVERSION_ID=7\n`), host(`ID=acme\nVERSION_ID=7\n`))},
			{name: "by the level", scene: all(rel(`ID=base\nSYSEXT_LEVEL=2\n`), host(`ID=acme\nID_LIKE=base\nVERSION_ID=7\nSYSEXT_LEVEL=2\n`))},
		},
		"2.3 VERSION_ID": {
			{name: "the same", scene: rel(`ID=acme\nVERSION_ID=7\n`)},
			{name: "another", scene: rel(`ID=acme\nVERSION_ID=8\n`)},
			{name: "none", scene: rel(`ID=acme\n`)},
			{name: "equal, but not the same", scene: rel(`ID=acme\nVERSION_ID=7.0\n`)},
			{name: "the host has none", scene: all(rel(`ID=acme\nVERSION_ID=8\n`), host(`ID=acme\n`))},
			{name: "the host has an empty one", scene: all(rel(`ID=acme\nVERSION_ID=8\n`), host(`ID=acme\nVERSION_ID=\n`))},
			{name: "IMAGE_VERSION counts for nothing", scene: rel(`ID=acme\nVERSION_ID=7\nIMAGE_VERSION=3\nIMAGE_ID=x\nBUILD_ID=y\n`)},
		},
		"2.3 level": {
			{name: "the same", scene: all(rel(`ID=acme\nSYSEXT_LEVEL=2\n`), host(`ID=acme\nVERSION_ID=7\nSYSEXT_LEVEL=2\n`))},
			{name: "another, of the same version", scene: all(rel(`ID=acme\nVERSION_ID=7\nSYSEXT_LEVEL=1\n`), host(`ID=acme\nVERSION_ID=7\nSYSEXT_LEVEL=2\n`))},
			{name: "the same, of another version", scene: all(rel(`ID=acme\nVERSION_ID=6\nSYSEXT_LEVEL=2\n`), host(`ID=acme\nVERSION_ID=7\nSYSEXT_LEVEL=2\n`))},
			{name: "only the extension's", scene: rel(`ID=acme\nVERSION_ID=7\nSYSEXT_LEVEL=2\n`)},
			{name: "only the extension's, another version", scene: rel(`ID=acme\nVERSION_ID=8\nSYSEXT_LEVEL=2\n`)},
			{name: "only the host's", scene: all(rel(`ID=acme\nVERSION_ID=7\n`), host(`ID=acme\nVERSION_ID=7\nSYSEXT_LEVEL=2\n`))},
			{name: "only the host's, no version of it", scene: all(rel(`ID=acme\nVERSION_ID=9\n`), host(`ID=acme\nSYSEXT_LEVEL=2\n`))},
			{name: "the other class's", scene: all(rel(`ID=acme\nVERSION_ID=7\nCONFEXT_LEVEL=1\n`), host(`ID=acme\nVERSION_ID=7\nCONFEXT_LEVEL=2\n`))},
			{name: "confext", confext: true, scene: all(confRelease(confexts+"a", "", `ID=acme\nCONFEXT_LEVEL=2\n`), host(`ID=acme\nVERSION_ID=7\nCONFEXT_LEVEL=2\n`))},
			{name: "an empty one", scene: all(rel(`ID=acme\nVERSION_ID=7\nSYSEXT_LEVEL=\n`), host(`ID=acme\nVERSION_ID=7\nSYSEXT_LEVEL=2\n`))},
		},
		"2.3 host": {
			{name: "no os-release", scene: all("remove usr/lib/os-release", rel(anyHost))},
			{name: "an empty one", scene: all(host(""), rel(anyHost))},
			{name: "one without an ID", scene: all(host(`VERSION_ID=7\n`), rel(anyHost))},
			{name: "only in usr/lib", scene: all("remove etc/os-release", rel(fits))},
			{name: "only in etc", scene: all("remove etc/os-release", "remove usr/lib/os-release", "etc/os-release = "+fits, rel(fits))},
			{name: "etc counts first", scene: all("remove etc/os-release", `etc/os-release = ID=other\nVERSION_ID=7\n`, rel(fits))},
			{name: "a link out of the root", scene: all("remove etc/os-release", "etc/os-release -> /../../../usr/lib/os-release", rel(fits))},
		},
		"2.4 force": {
			{name: "another ID", scene: rel(`ID=stranger\n`), steps: forced()},
			{name: "another architecture", scene: rel(fits + `ARCHITECTURE=arm64\n`), steps: forced()},
			{name: "another scope", scene: rel(fits + `SYSEXT_SCOPE=initrd\n`), steps: forced()},
			{name: "no release file", scene: []string{extensions + "a/usr/share/a = a"}, steps: forced()},
			{name: "an empty folder", ours: "masks hold", scene: all(extensions+"a/", ext(extensions+"b")), steps: forced()},
			{name: "no os-release of the host", scene: all("remove usr/lib/os-release", rel(fits)), steps: forced()},
			{name: "a folder that is a system", scene: all(ext(extensions+"a", `usr/lib/os-release = ID=evil\n`), ext(extensions+"b")), steps: forced(), ours: "isolation"},
			{name: "an image of another host", scene: []string{"image " + extensions + "stranger.raw stranger.squashfs"}, steps: forced()},
			{name: "confext", confext: true, scene: confRelease(confexts+"a", "", `ID=stranger\n`), steps: forced()},
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

func forced() []scene.Step { return steps("merge", "unmerge", "--force merge", "unmerge") }
