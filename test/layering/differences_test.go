package layering_test

// differences are those by which inlay's merges are others than systemd's on
// purpose, and what docs/layering-differences.md says of each. At least one case
// names each, and its two outcomes stand in testdata/outcomes.txt.
func differences() []string {
	return []string{
		"isolation", saysWhy, "limits lifted", "private mounts", "safe content", "attributes of folders", "empty hierarchies",
		"failing refreshes", "nothing is left", "folders of old", "one name twice", "masks hold", "each hierarchy once",
		"empty variables", "exit statuses", "links out of the root", "names of hierarchies", "architecture of partitions",
		"folders under a policy", "policy by default", "scripts of init",
	}
}

// saysWhy is the difference that changes nothing but what is said.
const saysWhy = "reasons"
