package witness_test

// matchingHosts are the cases of TestMatchingAsSystemd, by the host's name.
func matchingHosts() map[string]matchingHost {
	// own is a release file under the extension's own name.
	own := func(texts map[string]string) map[string]matchingFiles {
		all := map[string]matchingFiles{}
		for name, text := range texts {
			all[name] = matchingFiles{name: text}
		}
		return all
	}
	versions := func(level string) map[string]string {
		return map[string]string{
			"any":             "ID=_any\n",
			"any-version":     "ID=_any\nVERSION_ID=99\n" + level + "=99\n",
			"bare":            "ID=acme\n",
			"same":            "ID=acme\nVERSION_ID=7\n",
			"zero":            "ID=acme\nVERSION_ID=07\n",
			"older":           "ID=acme\nVERSION_ID=6\n",
			"minor":           "ID=acme\nVERSION_ID=7.1\n",
			"empty":           "ID=acme\nVERSION_ID=\n",
			"level":           "ID=acme\n" + level + "=2\n",
			"level-version":   "ID=acme\n" + level + "=2\nVERSION_ID=6\n",
			"level-other":     "ID=acme\n" + level + "=1\nVERSION_ID=7\n",
			"level-empty":     "ID=acme\n" + level + "=\nVERSION_ID=7\n",
			"level-empty-old": "ID=acme\n" + level + "=\nVERSION_ID=6\n",
			"image-version":   "ID=acme\nIMAGE_VERSION=7\n",
		}
	}
	scopes := func(key string) map[string]string {
		return map[string]string{
			"none":     "ID=_any\n",
			"empty":    "ID=_any\n" + key + "=\n",
			"blank":    "ID=_any\n" + key + "=\"  \"\n",
			"system":   "ID=_any\n" + key + "=system\n",
			"initrd":   "ID=_any\n" + key + "=initrd\n",
			"portable": "ID=_any\n" + key + "=portable\n",
			"both":     "ID=_any\n" + key + "=\"initrd\tsystem\"\n",
			"newline":  "ID=_any\n" + key + "=\"portable\nsystem initrd\"\n",
			"no-break": "ID=_any\n" + key + "=\"portable\u00a0system\u00a0initrd\"\n",
			"upper":    "ID=_any\n" + key + "=SYSTEM\n",
			"first":    "ID=other\nARCHITECTURE=arm64\n" + key + "=portable\n",
		}
	}
	return map[string]matchingHost{
		"plain": {release: "ID=acme\nVERSION_ID=7\n", extensions: own(versions("SYSEXT_LEVEL"))},
		"level": {
			release:    "ID=acme\nVERSION_ID=7\nSYSEXT_LEVEL=2\nCONFEXT_LEVEL=9\n",
			extensions: own(versions("SYSEXT_LEVEL")),
		},
		"level-alone":   {release: "ID=acme\nSYSEXT_LEVEL=2\n", extensions: own(versions("SYSEXT_LEVEL"))},
		"rolling":       {release: "ID=acme\nVERSION_ID=\n", extensions: own(versions("SYSEXT_LEVEL"))},
		"confext-level": {release: "ID=acme\nVERSION_ID=7\nCONFEXT_LEVEL=2\n", confext: true, extensions: own(versions("CONFEXT_LEVEL"))},
		"other-level":   {release: "ID=acme\nVERSION_ID=7\nCONFEXT_LEVEL=2\n", extensions: own(versions("CONFEXT_LEVEL"))},
		"scope":         {release: "ID=acme\n", extensions: own(scopes("SYSEXT_SCOPE"))},
		"other-scope":   {release: "ID=acme\n", extensions: own(scopes("CONFEXT_SCOPE"))},
		"confext-scope": {release: "ID=acme\n", confext: true, extensions: own(scopes("CONFEXT_SCOPE"))},
		"initrd":        {release: "ID=acme\n", initrd: true, extensions: own(scopes("SYSEXT_SCOPE"))},
		"like": {release: "ID=acme\nID_LIKE=\"base other\"\nVERSION_ID=7\n", extensions: own(map[string]string{
			"like":       "ID=base\nVERSION_ID=7\n",
			"none":       "VERSION_ID=7\n",
			"empty":      "ID=\nVERSION_ID=7\n",
			"upper":      "ID=ACME\nVERSION_ID=7\n",
			"quoted":     "ID=\"ac\"'me'\nVERSION_ID=7\n",
			"ids":        "ID=\"acme other\"\nVERSION_ID=7\n",
			"any":        "ID=any\nVERSION_ID=7\n",
			"sysext-id":  "SYSEXT_ID=acme\nID=other\nSYSEXT_VERSION_ID=7\n",
			"nothing":    "",
			"comment":    "# ID=acme\n",
			"no-newline": "ID=_any",
			"twice":      "ID=other\nID=_any\n",
		})},
		"architecture": {release: "ID=acme\n", extensions: own(map[string]string{
			"own":      "ID=_any\nARCHITECTURE=x86-64\n",
			"any":      "ID=_any\nARCHITECTURE=_any\n",
			"empty":    "ID=_any\nARCHITECTURE=\n",
			"arm64":    "ID=_any\nARCHITECTURE=arm64\n",
			"x86":      "ID=_any\nARCHITECTURE=x86\n",
			"uname":    "ID=_any\nARCHITECTURE=x86_64\n",
			"go":       "ID=_any\nARCHITECTURE=amd64\n",
			"native":   "ID=_any\nARCHITECTURE=native\n",
			"uapi":     "ID=_any\nARCHITECTURE=any\n",
			"upper":    "ID=_any\nARCHITECTURE=X86-64\n",
			"list":     "ID=_any\nARCHITECTURE=\"x86-64 arm64\"\n",
			"no-id":    "ARCHITECTURE=arm64\n",
			"other-id": "ID=other\nARCHITECTURE=arm64\n",
		})},
		"names":   {release: "ID=acme\nVERSION_ID=7\n", extensions: names("sysext", "confext")},
		"lookup":  {release: "ID=acme\nVERSION_ID=7\n", extensions: lookups()},
		"confext": {release: "ID=acme\nVERSION_ID=7\n", confext: true, extensions: names("confext", "sysext")},
		"no-id":   {release: "NAME=acme\n", extensions: own(map[string]string{"any": "ID=_any\n"})},
		"id-void": {release: "ID=\n", extensions: own(map[string]string{"any": "ID=_any\n"})},
	}
}

// names are extensions whose names decide.
func names(suffix, other string) map[string]matchingFiles {
	const fits = "ID=_any\n"
	return map[string]matchingFiles{
		"suffix." + suffix:         {"suffix": fits},
		"kept." + suffix:           {"kept." + suffix: fits},
		"foreign." + other:         {"foreign." + other: fits},
		"stranger." + other:        {"stranger": fits},
		"raw.raw":                  {"raw": fits},
		"exact.raw":                {"exact.raw": fits},
		"chain." + suffix + ".raw": {"chain": fits},
		"._dot":                    {"._dot": fits},
		".hidden":                  {".hidden": fits},
		".#part":                   {".#part": fits},
		"-dash":                    {"-dash": fits},
		"a b":                      {"a b": fits},
		"control\x01":              {"control\x01": fits},
		"tab\t":                    {"tab\t": fits},
		"delete\x7f":               {"delete\x7f": fits},
		"c1\u0085":                 {"c1\u0085": fits},
		"größe":                    {"größe": fits},
		"bytes\xff":                {"bytes\xff": fits},
		"private\ue000":            {"private\ue000": fits},
		"nonchar\ufdd0":            {"nonchar\ufdd0": fits},
		"nonchar\uffff":            {"nonchar\uffff": fits},
		"tilde~":                   {"tilde~": fits},
		"." + suffix:               {"": fits},
	}
}

// lookups are extensions that find their release file in other ways than by
// their name.
func lookups() map[string]matchingFiles {
	const fits, lax = "ID=_any\n", "ID=_any\n\x000"
	all := map[string]matchingFiles{
		"nothing":         {},
		"version_1.0":     {"version": fits},
		"version_1.0_x86": {"version": fits},
		"count+3":         {"count": fits},
		"count+3-1_2":     {"count": fits},
		"dash-1.0":        {"dash": fits},
		"own_1.0":         {"own": "ID=other\n", "own_1.0": fits},
		"own_2.0":         {"own": fits, "own_2.0": "ID=other\n"},
		"other_1.0":       {"other_2.0": fits},
		"other_2.0":       {"other_2.0_x": fits},
		"plain":           {"plain_1.0": fits},
		"_first":          {"": fits, "first": fits},
		"_lax":            {"x": lax},
		"+plus":           {"x": fits},
		"file.raw":        {"file": fits},
		"file_1.raw":      {"file": fits},
		"one":             {"x": lax},
		"two":             {"x": lax, "y": lax},
		"both_1":          {"both": fits, "x": lax},
		"same_1":          {"same": lax},
		"strict_1":        {"strict": "ID=_any\n\x001"},
		"mixed":           {"x": lax, "y": fits, "z": "ID=_any\n\x001"},
		"exact":           {"exact": fits, "x": lax, "y": lax},
		"link":            {"link": "\x00->extension-release.x", "x": fits},
		"absolute":        {"absolute": "\x00->/usr/lib/extension-release.d/extension-release.x", "x": fits},
		"dangling_1":      {"dangling_1": "\x00->nowhere", "dangling": fits},
		"linked_1":        {"linked": "\x00->extension-release.x", "x": fits},
		"escape":          {"escape": "\x00->../../../../../../../../etc/hostname"},
		"loop":            {"loop": "\x00->extension-release.loop"},
		"loop_1":          {"loop_1": "\x00->extension-release.loop_1", "loop": fits},
		"bad-utf8":        {"bad-utf8": "ID=_any\nNAME=\xff\n"},
		"blanks":          {"blanks": "  ID = _any \n"},
	}
	for word, value := range map[string]string{
		"no": "no", "n": "N", "false": "False", "f": "f", "off": "OFF", "zeros": "00", "empty": "", "true": "true",
		"newline": "0\n", "blank": " 0", "nul": "0\x00", "nul-more": "0\x001", "long-s": "fal\u017fe", "kelvin": "nope",
	} {
		all["attr-"+word] = matchingFiles{"x": fits + "\x00" + value}
	}
	return all
}
