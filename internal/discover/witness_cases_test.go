package discover_test

import (
	"maps"
	"strings"
)

// witnessScene is a root folder that systemd and we look at.
type witnessScene struct {
	scene
	confext, initrd bool
	// ties says that systemd takes the first that the file system lists.
	ties bool
}

func plain(lines ...string) witnessScene { return witnessScene{scene: lines} }

// sub is a scene in var/lib/extensions.
func sub(lines ...string) witnessScene { return within("var/lib/extensions/", lines) }

// versions is a scene in the versioned folder name.
func versions(name string, lines ...string) witnessScene {
	s := within("var/lib/extensions/"+name+"/", lines)
	s.scene = append(s.scene, "var/lib/extensions/"+name+"/")
	return s
}

func within(folder string, lines []string) witnessScene {
	var s witnessScene
	for _, line := range lines {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "fifo", "socket", "char", "block":
			s.scene = append(s.scene, word+" "+folder+rest)
		default:
			s.scene = append(s.scene, folder+line)
		}
	}
	return s
}

func confext(s witnessScene) witnessScene { s.confext = true; return s }
func initrd(s witnessScene) witnessScene {
	s.initrd = true
	s.scene = append(s.scene, "etc/initrd-release")
	return s
}
func tied(s witnessScene) witnessScene { s.ties = true; return s }

// witnessScenes are looked at by systemd and by us, which must see the same.
func witnessScenes() map[string]witnessScene {
	scenes := map[string]witnessScene{}
	for _, more := range []map[string]witnessScene{typeScenes(), nameScenes(), linkScenes(), folderScenes(), versionScenes(), versionNameScenes()} {
		maps.Copy(scenes, more)
	}
	return scenes
}

func typeScenes() map[string]witnessScene {
	return map[string]witnessScene{
		"type_none":            plain("var/lib/nothing/"),
		"type_folder":          sub("foo/usr/"),
		"type_folder_empty":    sub("foo/"),
		"type_raw":             sub("foo.raw"),
		"type_sysext_raw":      sub("foo.sysext.raw"),
		"type_no_suffix":       sub("foo"),
		"type_img":             sub("foo.img", "bar.raw"),
		"type_compressed":      sub("foo.raw.xz", "bar.raw"),
		"type_upper_case":      sub("foo.RAW", "bar.raw"),
		"type_beside":          sub("foo.raw", "foo.roothash", "foo.roothash.p7s", "foo.verity", "foo.usrhash"),
		"type_fifo":            sub("fifo foo", "fifo bar.raw", "baz.raw"),
		"type_socket":          sub("socket foo", "socket bar.raw", "baz.raw"),
		"type_char":            sub("char foo", "char bar.raw", "baz.raw"),
		"type_block":           sub("block foo", "bar.raw"),
		"type_block_raw":       sub("block foo.raw"),
		"type_block_sysext":    sub("block foo.sysext"),
		"type_block_v":         sub("block foo.v"),
		"type_block_names":     sub("block .#foo", "block a\nb", "block .foo", "block foo.sysext.raw.v"),
		"type_block_mask":      plain("block etc/extensions/foo", "var/lib/extensions/foo.raw"),
		"type_block_no_mask":   plain("block etc/extensions/foo.raw", "var/lib/extensions/foo.raw"),
		"type_folder_raw":      sub("foo.raw/usr/"),
		"type_folder_mstack":   sub("foo.mstack/"),
		"type_file_mstack":     sub("foo.mstack", "bar.raw"),
		"type_all":             sub("a/", "b.raw", "block c", "d.raw.v/d_1.raw", "e.v/e_1/", "fifo f"),
		"type_confext":         confext(plain("var/lib/confexts/foo/", "var/lib/confexts/bar.raw", "block var/lib/confexts/baz")),
		"type_nowhere":         sub("foo.raw", "bar.raw -> /none/x"),
		"type_zero_is_no_mask": plain("etc/extensions/foo.raw", "var/lib/extensions/foo/"),
	}
}

func nameScenes() map[string]witnessScene {
	long := strings.Repeat("n", 251)
	return map[string]witnessScene{
		"name_folder_suffix":        sub("foo.sysext/"),
		"name_other_suffix":         sub("foo.confext.raw", "bar.confext/"),
		"name_confext_suffix":       confext(plain("run/confexts/foo.confext.raw", "run/confexts/bar.confext/")),
		"name_confext_other":        confext(plain("run/confexts/foo.sysext.raw", "run/confexts/bar.sysext/")),
		"name_folder_sysext_raw":    sub("foo.sysext.raw/"),
		"name_twice_sysext":         sub("foo.sysext.sysext.raw", "bar.sysext.sysext/"),
		"name_twice_raw":            sub("foo.raw.raw"),
		"name_sysext_raw_raw":       sub("foo.sysext.raw.raw"),
		"name_version":              sub("foo_1.0.raw", "foo-1.0.raw", "foo+1.raw", "foo_2.0/"),
		"name_hidden":               sub(".foo/", ".bar.raw"),
		"name_only_raw":             sub(".raw", ".sysext.raw", "foo.raw"),
		"name_only_suffix":          sub(".sysext/", "foo/"),
		"name_dot":                  sub("..raw", "...raw", "....raw"),
		"name_dot_suffix":           sub("..sysext/", "...sysext/", "....sysext.raw"),
		"name_lock":                 sub(".#foo.raw", ".#bar/", "#baz.raw", ".##/"),
		"name_not_utf8":             sub("a\xffb.raw", "c\xe9/", "foo.raw"),
		"name_overlong_utf8":        sub("a\xc0\xafb/", "foo.raw"),
		"name_surrogate":            sub("a\xed\xa0\x80b/", "foo.raw"),
		"name_noncharacter":         sub("a\ufffeb/", "c\ufdd0d.raw", "foo.raw"),
		"name_unicode":              sub("größe.raw", "日本/", "a\u0085b/", "\u200b/"),
		"name_newline":              sub("a\nb.raw", "c\nd/", "foo.raw"),
		"name_tab":                  sub("a\tb.raw", "foo.raw"),
		"name_delete":               sub("a\x7fb.raw", "foo.raw"),
		"name_escape":               sub("a\x1bb/", "foo.raw"),
		"name_blanks":               sub("a b.raw", " c.raw", "d .raw", " /"),
		"name_options":              sub("a:b.raw", "c,d/", "e\\f.raw", "g=h.raw", "i%j.raw", "k\"l.raw"),
		"name_dash":                 sub("-foo.raw", "--root/"),
		"name_long":                 sub(long+".raw", long+"xxxx/"),
		"name_long_suffix":          sub(long[:244]+".sysext.raw", long[:248]+".sysext/"),
		"name_final_dot":            sub("foo./", "bar..raw"),
		"name_case":                 sub("foo.raw", "FOO.raw", "Foo/"),
		"name_sysext_case":          sub("foo.SYSEXT.raw"),
		"name_masks_by_name":        plain("etc/extensions/foo.sysext/", "var/lib/extensions/foo.raw"),
		"name_block_suffix_differs": plain("block etc/extensions/foo.sysext.raw", "var/lib/extensions/foo.sysext.raw"),
	}
}

func linkScenes() map[string]witnessScene {
	return map[string]witnessScene{
		"link_folder":           plain("etc/extensions/foo -> /data/x", "data/x/usr/"),
		"link_raw":              plain("etc/extensions/foo.raw -> /data/x.raw", "data/x.raw"),
		"link_raw_other":        plain("etc/extensions/foo.raw -> /data/x.img", "data/x.img"),
		"link_raw_bare":         plain("etc/extensions/foo -> /data/x.raw", "data/x.raw"),
		"link_folder_raw":       plain("etc/extensions/foo.raw -> /data/x", "data/x/"),
		"link_sysext_raw":       plain("etc/extensions/foo.sysext.raw -> /data/x_1.0.raw", "data/x_1.0.raw"),
		"link_name":             plain("etc/extensions/foo.raw -> /data/bar.sysext.raw", "data/bar.sysext.raw"),
		"link_relative":         plain("etc/extensions/foo.raw -> ../../data/x.raw", "data/x.raw"),
		"link_beside":           sub("foo.raw -> foo_1.0.raw", "foo_1.0.raw"),
		"link_chain":            plain("etc/extensions/foo.raw -> /data/a", "data/a -> b", "data/b -> /data/c.img", "data/c.img"),
		"link_folder_chain":     plain("etc/extensions/foo.raw -> /data/a/c.img", "data/a -> b", "data/b/c.img"),
		"link_dangling":         plain("etc/extensions/foo.raw -> /none", "etc/extensions/bar -> none", "var/lib/extensions/foo.raw"),
		"link_dangling_far":     plain("etc/extensions/foo.raw -> /data/a", "data/a -> b", "var/lib/extensions/foo/"),
		"link_null":             plain("etc/extensions/foo.raw -> /dev/null", "etc/extensions/bar -> /dev/null", "var/lib/extensions/foo.raw", "var/lib/extensions/bar/"),
		"link_fifo":             plain("etc/extensions/foo.raw -> /data/fifo", "fifo data/fifo"),
		"link_block":            plain("etc/extensions/foo -> /data/block", "etc/extensions/bar.raw -> /data/block", "block data/block"),
		"link_v":                plain("etc/extensions/foo.v -> /data/bar.v", "data/bar.v/foo_1/", "data/bar.v/bar_2/"),
		"link_v_raw":            plain("etc/extensions/foo.raw.v -> /data/x", "data/x/foo_1.raw", "data/x/foo_2.raw"),
		"link_to_v":             plain("etc/extensions/foo -> /data/bar.v", "data/bar.v/bar_2/"),
		"link_v_dangling":       plain("etc/extensions/foo.v -> /none", "var/lib/extensions/foo/"),
		"link_in_v":             versions("foo.raw.v", "foo_1.raw", "foo_2.raw -> ../x.img", "../x.img"),
		"link_in_v_absolute":    plain("var/lib/extensions/foo.raw.v/foo_2.raw -> /data/x.raw", "data/x.raw"),
		"link_in_v_folder":      plain("var/lib/extensions/foo.v/foo_2 -> /data/x", "data/x/"),
		"link_in_v_dangling":    versions("foo.raw.v", "foo_1.raw", "foo_2.raw -> none"),
		"link_in_v_latest":      versions("foo.raw.v", "foo_1.raw", "foo_latest.raw -> foo_1.raw"),
		"link_two":              plain("etc/extensions/foo.raw -> /data/x.raw", "etc/extensions/bar.raw -> /data/x.raw", "data/x.raw"),
		"link_self_folder":      plain("etc/extensions/foo -> ."),
		"link_up":               plain("etc/extensions/foo -> .."),
		"link_root":             plain("etc/extensions/foo -> /"),
		"link_slashes":          plain("etc/extensions/foo.raw -> //data/./x//../x.raw", "data/x/", "data/x.raw"),
		"link_slash_at_folder":  plain("etc/extensions/foo -> /data/x/", "data/x/"),
		"link_suffix":           plain("etc/extensions/foo.sysext -> /data/x", "data/x/"),
		"link_run":              plain("run/extensions/foo.raw -> /usr/lib/extensions/foo.raw", "usr/lib/extensions/foo.raw"),
		"link_run_usr_folder":   plain("run/extensions/foo -> /usr/local/lib/extensions/foo", "usr/local/lib/extensions/foo/usr/"),
		"link_confext":          confext(plain("run/confexts/foo.raw -> /data/x", "data/x")),
		"link_hidden_temporary": plain("etc/extensions/.#foo -> /data/x", "data/x/"),
	}
}

func folderScenes() map[string]witnessScene {
	return map[string]witnessScene{
		"folder_order":           plain("etc/extensions/foo.raw", "run/extensions/foo.raw", "var/lib/extensions/foo.raw", "run/extensions/bar/", "var/lib/extensions/bar.raw"),
		"folder_mask":            plain("etc/extensions/foo/", "var/lib/extensions/foo.raw"),
		"folder_mask_run":        plain("run/extensions/foo/", "var/lib/extensions/foo.sysext.raw", "var/lib/extensions/bar.raw"),
		"folder_no_mask":         plain("etc/extensions/foo.raw", "run/extensions/foo/"),
		"folder_mask_other_name": plain("etc/extensions/foo/", "var/lib/extensions/foo_1.raw"),
		"folder_mask_raw_folder": plain("etc/extensions/foo.raw/", "var/lib/extensions/foo.raw"),
		"folder_mask_v":          plain("etc/extensions/foo.v/", "var/lib/extensions/foo.raw"),
		"folder_v_masks":         plain("etc/extensions/foo.v/foo_1/", "var/lib/extensions/foo.raw"),
		"folder_legacy":          plain("usr/lib/extensions/foo.raw", "usr/local/lib/extensions/bar.raw"),
		"folder_etc_confexts":    confext(plain("etc/confexts/foo.raw", "var/lib/confexts/bar.raw")),
		"folder_confexts":        confext(plain("run/confexts/a.raw", "var/lib/confexts/a/", "var/lib/confexts/b.raw", "usr/local/lib/confexts/b/", "usr/local/lib/confexts/c.raw", "usr/lib/confexts/c/", "usr/lib/confexts/d.raw")),
		"folder_kinds_apart":     plain("run/confexts/a.raw", "run/extensions/b.raw"),
		"folder_link":            plain("var/lib/extensions -> /data/ext", "data/ext/foo.raw", "data/ext/bar.v/bar_1/"),
		"folder_link_relative":   plain("var/lib/extensions -> ../../data", "data/foo.raw -> x", "data/x"),
		"folder_link_dangling":   plain("etc/extensions -> /none", "var/lib/extensions/foo.raw"),
		"folder_same":            plain("run/extensions -> /var/lib/extensions", "var/lib/extensions/foo.raw", "var/lib/extensions/bar/"),
		"folder_empty":           plain("etc/extensions/", "run/extensions/", "var/lib/extensions/"),
		"folder_initrd":          initrd(plain("etc/extensions/a.raw", ".extra/sysext/a.raw", ".extra/sysext/b.raw")),
		"folder_initrd_confext":  initrd(confext(plain("usr/lib/confexts/a.raw", "usr/local/lib/confexts/b.raw", ".extra/confext/b.raw", ".extra/confext/c.raw"))),
		"folder_extra_no_initrd": plain(".extra/sysext/b.raw", "etc/extensions/a.raw"),
		"folder_tie":             tied(sub("foo/", "foo.raw")),
		"folder_tie_suffix":      tied(sub("foo.sysext.raw", "foo.raw", "bar.sysext/", "bar/")),
		"folder_tie_v":           tied(sub("foo.v/foo_1/", "foo.raw")),
		"folder_tie_many":        tied(sub("foo.v/foo_1/", "foo.raw.v/foo_1.raw", "foo.raw", "foo/", "foo.sysext/", "foo.sysext.raw", "foo.sysext.v/foo_1.sysext/", "foo.sysext.raw.v/foo_1.sysext.raw")),
		"folder_unfit_v_no_tie":  sub("foo.v/", "foo.raw"),
	}
}
