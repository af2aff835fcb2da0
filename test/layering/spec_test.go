package layering_test

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"inlay/test/layering/scene"
)

// spec is a case of a rule.
type spec struct {
	rule, name string
	// confext has systemd-confext do it.
	confext bool
	// running has it done to the running system; then only looks are looked at.
	running bool
	looks   []string
	// list has what is found compared, too.
	list bool
	// bare leaves out the host's own files.
	bare bool
	// scene makes the system, steps are done to it; none are a merge and an unmerge.
	scene []string
	steps []scene.Step
	// show are paths whose lines belong to the case's outcome.
	show []string
	// newer names the row of versions by which an older systemd's outcome is
	// another one.
	newer string
	// ours names the deliberate difference by which inlay's outcome is another one.
	ours string
	// says is what inlay says of the first step, and systemd does not.
	says string
}

func (s spec) title() string { return s.rule + ": " + s.name }

func (s spec) kind() string {
	if s.confext {
		return "confext"
	}
	return "sysext"
}

// play is the case for the observer.
func (s spec) play() scene.Case {
	c := scene.Case{
		Name: s.title(), Program: "systemd-" + s.kind(), Running: s.running, Look: s.looks, List: s.list, Steps: s.steps,
	}
	if !s.bare && !s.running {
		c.Scene = host()
	}
	c.Scene = append(c.Scene, s.scene...)
	if len(c.Steps) == 0 {
		c.Steps = steps("merge", "unmerge")
	}
	return c
}

// host are the files of a small system.
func host() []string {
	return []string{
		`usr/lib/os-release = ID=acme\nVERSION_ID=7\nID_LIKE="base other"\n`, "etc/os-release -> ../usr/lib/os-release",
		"usr/share/host = host", "usr/bin/tool = host", "usr/share/folder/x = host", "opt/host = host", "etc/app.conf = host", "var/lib/", "var/tmp/", "run/",
	}
}

// anyHost is what a release file has for an extension that fits everywhere.
const anyHost = `ID=_any\n`

// ext are the lines of an extension that is a folder, which fits every host, with
// a file that tells of it, and more files: "PATH" has the name for a text.
func ext(at string, files ...string) []string { return release(at, "", anyHost, files...) }

// release is ext with a release file of another name ("" is the folder's) and text.
func release(at, name, text string, files ...string) []string {
	own := strings.TrimSuffix(path.Base(at), ".sysext")
	if name == "" {
		name = own
	}
	lines := []string{at + "/usr/lib/extension-release.d/extension-release." + name + " = " + text, at + "/usr/share/" + own + " = " + own}
	return append(lines, inside(at, own, files)...)
}

// conf is ext for a confext.
func conf(at string, files ...string) []string { return confRelease(at, "", anyHost, files...) }

func confRelease(at, name, text string, files ...string) []string {
	own := strings.TrimSuffix(path.Base(at), ".confext")
	if name == "" {
		name = own
	}
	lines := []string{at + "/etc/extension-release.d/extension-release." + name + " = " + text, at + "/etc/" + own + ".conf = " + own}
	return append(lines, inside(at, own, files)...)
}

func inside(at, own string, files []string) []string {
	var lines []string
	for _, f := range files {
		words := strings.Fields(f)
		known := []string{"fifo", "char", "mode", "owner", "xattr"}
		switch {
		case len(words) > 1 && slices.Contains(known, words[0]):
			lines = append(lines, words[0]+" "+at+"/"+strings.Join(words[1:], " "))
		case strings.HasSuffix(f, "/"), strings.Contains(f, " = "), strings.Contains(f, " -> "):
			lines = append(lines, at+"/"+f)
		default:
			lines = append(lines, at+"/"+f+" = "+own)
		}
	}
	return lines
}

// all joins lines and lists of them.
func all(parts ...any) []string {
	var lines []string
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			lines = append(lines, p)
		case []string:
			lines = append(lines, p...)
		default:
			panic(fmt.Sprintf("%T is no line", p))
		}
	}
	return lines
}

// steps are calls, each a line of words; those with a "=" before the first word
// without one are variables of the environment. What stands before a "|", by "; ",
// is done before.
func steps(calls ...string) []scene.Step {
	var list []scene.Step
	for _, call := range calls {
		var s scene.Step
		if before, after, ok := strings.Cut(call, " | "); ok {
			s.Do, call = strings.Split(before, "; "), after
		}
		for word := range strings.FieldsSeq(call) {
			if len(s.Run) == 0 && strings.Contains(word, "=") && !strings.HasPrefix(word, "-") {
				s.Env = append(s.Env, word)
				continue
			}
			s.Run = append(s.Run, word)
		}
		list = append(list, s)
	}
	return list
}

// extensions is the folder where most of them lie.
const (
	extensions = "var/lib/extensions/"
	confexts   = "var/lib/confexts/"
)

// crowd are extensions with names of a length.
func crowd(count, length int) []string {
	var lines []string
	for n := range count {
		lines = append(lines, ext(fmt.Sprintf("%se%0*d", extensions, length, n))...)
	}
	return lines
}
