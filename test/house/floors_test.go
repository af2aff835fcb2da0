package house_test

import (
	"slices"
	"strings"
	"testing"
)

// floor is a storey of the house. Imports go down, never up.
type floor int

const (
	ground  floor = iota // carries every floor, rests on none
	format               // one on-disk or wire format each: pure
	domain               // the words of the field
	service              // one use of the system each
	face                 // the command line
	outside              // cmd, docs/gen and test/...: call in, are not called
	nowhere              // a package that nobody has put on a floor
)

// floors puts each package under internal/ on its storey. It is the plan of
// DESIGN.md: names may stand here before their package does.
func floors() map[string]floor {
	return map[string]floor{
		"hint": ground, "guid": ground,

		"ddi": format, "gpt": format, "erofs": format, "inflate": format, "lz4": format, "zstd": format, "squashfs": format, "ext4": format, "verity": format, "cms": format,
		"efi": format, "pe": format, "pcr": format, "cpio": format, "osrelease": format, "selinux": format, "version": format,

		"extension": domain, "source": domain, "stage": domain, "tree": domain, "keys": domain, "trust": domain,
		"verify": domain, "content": domain, "rooted": domain, "secureboot": domain, "uki": domain,
		"discover": domain, "device": domain, "mount": domain, "disk": domain, "trial": domain,
		"store": domain, "fetch": domain, "transfer": domain, "bootstate": domain, "config": domain,

		"build": service, "inspect": service, "sign": service, "diff": service, "node": service, "layer": service, "boot": service,
		"media": service, "bundle": service, "integration": service,

		"cli": face,
	}
}

// room returns the name of the package under internal/ that path lies in, and
// its floor. A folder below a package belongs to that package.
func room(path string) (name string, f floor) {
	rest, ok := strings.CutPrefix(path, module+"/internal/")
	if !ok {
		return path, outside
	}
	name, _, _ = strings.Cut(rest, "/")
	f, ok = floors()[name]
	if !ok {
		return name, nowhere
	}
	return name, f
}

// programs names the packages that may start another program.
func programs() []string { return []string{"keys", "build", "layer", "media", "bundle"} }

// breach says why the package importer may not import imported, "" if it may.
func breach(importer, imported string, test bool) string {
	from, floorFrom := room(importer)
	if floorFrom == outside {
		return breachFromOutside(importer, imported)
	}
	if imported != module && !strings.HasPrefix(imported, module+"/") {
		return breachOfOthers(from, floorFrom, imported, test)
	}
	if strings.HasPrefix(imported, module+"/test/") && test {
		return ""
	}

	to, floorTo := room(imported)
	switch {
	case floorTo == outside:
		return "nobody under internal/ imports cmd, docs or test"
	case from == to:
		return ""
	case floorTo > floorFrom:
		return "imports only go down"
	case floorTo < floorFrom, floorFrom == domain:
		return ""
	case test && floorFrom != face:
		return "" // a sibling may be a test's witness
	case from == "ddi" && slices.Contains([]string{"gpt", "verity", "cms"}, to):
		return ""
	case floorFrom == service:
		return "a service never imports another"
	default:
		return "packages of this floor stand alone"
	}
}

// breachFromOutside is breach for what does not lie under internal/.
func breachFromOutside(importer, imported string) string {
	if imported != module+"/internal/cli" {
		return ""
	}
	if strings.HasPrefix(importer, module+"/cmd/") || importer == module+"/docs/gen" {
		return ""
	}
	if strings.HasPrefix(importer, module+"/test/witness") {
		return "" // by no name: it tests the built program, and must run again when that changes
	}
	return "only cmd and the docs generator import the face"
}

// breachOfOthers is breach for packages that are not ours.
func breachOfOthers(from string, f floor, imported string, test bool) string {
	if test {
		return ""
	}
	switch {
	case imported == "log":
		return "libraries return, the face logs with log/slog"
	case imported == "os/exec" && !slices.Contains(programs(), from):
		return "only " + strings.Join(programs(), ", ") + " start programs"
	case strings.HasPrefix(imported, "github.com/spf13/") && f != face:
		return "commands and flags belong to the face"
	case f == format && slices.Contains([]string{"os", "path/filepath", "net", "net/http", "log/slog"}, imported):
		return "a format is pure"
	default:
		return ""
	}
}

// TestFloors walks every import of every package.
func TestFloors(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if name, f := room(p.ImportPath); f == nowhere {
			t.Errorf("%q stands on no floor: give it one here, in .golangci.yml and in ARCHITECTURE.md", name)
			continue
		}
		check := func(imports []string, test bool) {
			for _, imported := range imports {
				if why := breach(p.ImportPath, imported, test); why != "" {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
				}
			}
		}
		check(p.Imports, false)
		check(p.TestImports, true)
		check(p.XTestImports, true)
	}
}

// wall is an import and whether the house has a wall there.
type wall struct {
	importer, imported string
	test               bool
	stands             bool
}

// walls are the cases on which both this test and the linter's rules must agree.
func walls() map[string]wall {
	in := func(name string) string { return module + "/internal/" + name }
	return map[string]wall{
		"a format imports a format":           {in("gpt"), in("verity"), false, true},
		"a format imports the domain":         {in("erofs"), in("extension"), false, true},
		"a format imports a service":          {in("verity"), in("build"), false, true},
		"a format imports the face":           {in("cms"), in("cli"), false, true},
		"a format opens files":                {in("osrelease"), "os", false, true},
		"a format logs":                       {in("cms"), "log/slog", false, true},
		"ddi is made of verity":               {in("ddi"), in("verity"), false, false},
		"ddi is made of erofs":                {in("ddi"), in("erofs"), false, true},
		"a format gives a hint":               {in("gpt"), in("hint"), false, false},
		"a format's test has a sibling":       {in("ddi"), in("erofs"), true, false},
		"a format's test climbs":              {in("ddi"), in("tree"), true, true},
		"the domain reads a format":           {in("tree"), in("erofs"), false, false},
		"the domain uses the domain":          {in("source"), in("tree"), false, false},
		"the domain imports a service":        {in("tree"), in("build"), false, true},
		"the domain imports the face":         {in("keys"), in("cli"), false, true},
		"the domain's test climbs":            {in("keys"), in("build"), true, true},
		"a service imports a service":         {in("build"), in("node"), false, true},
		"signing builds":                      {in("sign"), in("build"), false, true},
		"building signs":                      {in("build"), in("sign"), false, true},
		"the domain inspects":                 {in("keys"), in("inspect"), false, true},
		"a service imports the face":          {in("build"), in("cli"), false, true},
		"a service uses the domain":           {in("build"), in("source"), false, false},
		"the face uses a service":             {in("cli"), in("build"), false, false},
		"the ground imports a format":         {in("hint"), in("gpt"), false, true},
		"keys start the signer":               {in("keys"), "os/exec", false, false},
		"a source starts a program":           {in("source"), "os/exec", false, true},
		"a library logs":                      {in("tree"), "log", false, true},
		"the domain reads flags":              {in("tree"), "github.com/spf13/pflag", false, true},
		"the program calls the face":          {module + "/cmd/inlay", in("cli"), false, false},
		"a test helper imports the face":      {module + "/test/need", in("cli"), false, true},
		"the program uses a test helper":      {in("build"), module + "/test/need", false, true},
		"a test uses a test helper":           {in("build"), module + "/test/need", true, false},
		"a folder below a package is in it":   {in("erofs/deep"), in("cli"), false, true},
		"the name boot is not bootstate":      {in("store"), in("bootstate"), false, false},
		"the domain imports the boot service": {in("store"), in("boot"), false, true},
	}
}

// TestWalls shows that TestFloors can fail: each wall stands where the plan has it.
func TestWalls(t *testing.T) {
	t.Parallel()
	for name, w := range walls() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			why := breach(w.importer, w.imported, w.test)
			if (why != "") != w.stands {
				t.Errorf("breach(%q, %q) = %q, want a wall: %v", w.importer, w.imported, why, w.stands)
			}
		})
	}
	if _, f := room(module + "/internal/helpers"); f != nowhere {
		t.Errorf("a package that the plan does not name is on floor %d", f)
	}
}
