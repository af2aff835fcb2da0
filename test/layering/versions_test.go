package layering_test

import (
	"slices"
	"strings"
)

// model is the systemd whose rules inlay follows.
const model = 262

// version is something that systemd does since a version, and did not before.
type version struct {
	since int
	about string
	// age makes of what a newer one shows what an older one would have shown, or
	// takes out of both what cannot be compared; it says whether there was anything.
	// nil is for what only cases that name the row show: their outcomes are in
	// testdata/outcomes.txt.
	age func(c spec, newer, older *view) bool
}

// versions are the rows by which the newer systemds differ from 257. since is the
// version of which this is known: some may have come a little earlier.
func versions() map[string]version {
	return map[string]version{
		"global extensions":           {since: 258, about: "an initrd looks in /.extra/global_sysext and /.extra/global_confext"},
		"merges of nothing":           {since: 258, about: "in every mode but no, hierarchies are merged that no extension brings anything for"},
		"mount options":               {since: 259, about: "SYSTEMD_SYSEXT_OVERLAYFS_MOUNT_OPTIONS is heeded"},
		"sysext.conf":                 {since: 259, about: "sysext.conf and confext.conf say which mode is the default"},
		"links in the root":           {since: 260, about: "folders of extensions that are links are resolved inside of the root"},
		"always-refresh":              {since: 260, about: "there is an option --always-refresh"},
		"links that lead nowhere":     {since: 260, about: "a link to itself is an error"},
		"block devices":               {since: 260, about: "block devices below another root are merged"},
		"nested mounts":               {since: 260, about: "a mount on a mount below a hierarchy is kept"},
		"counters in versions":        {since: 260, about: "a plus in a version must begin a counter"},
		"files beside versions":       {since: 260, about: "what is no extension does not count among versions"},
		"links among mutable folders": {since: 260, about: "links among mutable folders are followed below another root, and what they lead to is made"},
		"folders are made first":      {since: 260, about: "mutable folders are made before anything is merged"},
		"modes of folders": {since: 260, about: "the folder of mutable folders can be read by all", age: func(_ spec, v, older *view) bool {
			const open, closed = "folder 0755 0:0 var/lib/extensions.mutable", "folder 0700 0:0 var/lib/extensions.mutable"
			at := slices.Index(v.Tree, open)
			changed := at >= 0 && slices.Contains(older.Tree, closed)
			if changed {
				v.Tree[at] = closed
			}
			return changed
		}},
		"refreshes are skipped": {since: 260, about: "a refresh that would change nothing does nothing", age: func(_ spec, v, older *view) bool {
			changed := slices.ContainsFunc(v.Said, func(line string) bool { return strings.HasPrefix(line, "Skipping ") })
			if changed {
				v.Said, older.Said = nil, nil
			}
			return changed
		}},
		"stacks of mounts":  {since: 260, about: "folders that end with .mstack are extensions"},
		"files of updates":  {since: 262, about: "names that begin with .sysupdate. are passed over"},
		"tilde in versions": {since: 262, about: "versions in folders of versions may have ~ and ^"},
		"origin": {since: 260, about: "a marker says where its extensions came from", age: func(_ spec, v, _ *view) bool {
			changed := len(v.Origin) > 0
			clear(v.Origin)
			return changed
		}},
		"backing": {since: 258, about: "a marker names the block device behind the host's folder", age: func(c spec, v, _ *view) bool {
			kept := v.Tree[:0]
			for _, line := range v.Tree {
				if !strings.Contains(line, "/.systemd-"+c.kind()+"/backing = ") {
					kept = append(kept, line)
				}
			}
			changed := len(kept) < len(v.Tree)
			v.Tree = kept
			return changed
		}},
		"empty lists": {since: 262, about: "the status in JSON has a list where nothing is merged, not the word none", age: func(_ spec, v, _ *view) bool {
			changed := false
			for i, row := range v.Status {
				if !row.Since && row.Word == "" {
					v.Status[i].Word, v.Status[i].Extensions, changed = "none", nil, true
				}
			}
			return changed
		}},
	}
}
