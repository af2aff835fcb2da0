package integration

import (
	"fmt"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

// placed is a file, or a link, that belongs to an integration.
type placed struct {
	path string // below the root, without a leading slash
	text []byte
	mode uint32
	link string // what it leads to; "" for a file
}

// values are what the files leave open.
type values struct {
	Program, Trials                           string
	Kind, Tool, Variable, Hierarchies, Policy string
}

// Where each integration's files go.
const (
	unitFolder      = "usr/lib/systemd/system"
	dracutFolder    = "usr/lib/dracut/modules.d/90inlay"
	initramfsFolder = "usr/share/initramfs-tools"
)

// place returns what an integration consists of.
func (o Options) place(name string) ([]placed, error) {
	var all []placed
	var failed error
	v := values{Program: o.Program, Trials: " --trials"}
	if o.NoTrials {
		v.Trials = ""
	}
	file := func(at, from string, mode uint32, v values) {
		text, err := fill(from, v)
		if err != nil && failed == nil {
			failed = err
		}
		all = append(all, placed{path: at, text: text, mode: mode})
	}
	link := func(at, to string) { all = append(all, placed{path: at, link: to}) }
	switch name {
	case Systemd:
		file(unitFolder+"/inlay-boot.service", "systemd/inlay-boot.service", 0o644, v)
		link(unitFolder+"/sysinit.target.wants/inlay-boot.service", "../inlay-boot.service")
		if !o.NoTrials {
			file(unitFolder+"/inlay-boot-good.service", "systemd/inlay-boot-good.service", 0o644, v)
			link(unitFolder+"/multi-user.target.wants/inlay-boot-good.service", "../inlay-boot-good.service")
		}
		for _, k := range extension.Kinds() {
			file(unitFolder+"/"+k.Unit+".d/50-inlay.conf", "systemd/merge.conf", 0o644, o.merge(k))
			link(unitFolder+"/sysinit.target.wants/"+k.Unit, "../"+k.Unit)
			if o.Trusted {
				file(unitFolder+"/"+sysroot(k)+".d/50-inlay.conf", "systemd/sysroot.conf", 0o644, o.merge(k))
			}
		}
	case OpenRC:
		file("etc/init.d/inlay-boot", "openrc/inlay-boot", 0o755, v)
		link("etc/runlevels/boot/inlay-boot", "/etc/init.d/inlay-boot")
		if !o.NoTrials {
			file("etc/init.d/inlay-boot-good", "openrc/inlay-boot-good", 0o755, v)
			link("etc/runlevels/default/inlay-boot-good", "/etc/init.d/inlay-boot-good")
		}
	case Sysvinit:
		file("etc/init.d/inlay-boot", "sysvinit/inlay-boot", 0o755, v)
		link("etc/rcS.d/S13inlay-boot", "../init.d/inlay-boot")
		if !o.NoTrials {
			file("etc/init.d/inlay-boot-good", "sysvinit/inlay-boot-good", 0o755, v)
			for level := 2; level <= 5; level++ {
				link(fmt.Sprintf("etc/rc%d.d/S99inlay-boot-good", level), "../init.d/inlay-boot-good")
			}
		}
	case Busybox:
		file("etc/init.d/S05inlay-boot", "busybox/boot", 0o755, v)
		if !o.NoTrials {
			file("etc/init.d/S99inlay-boot-good", "busybox/good", 0o755, v)
		}
	case Dracut:
		file(dracutFolder+"/module-setup.sh", "dracut/module-setup.sh", 0o755, v)
		file(dracutFolder+"/inlay-boot.sh", "dracut/inlay-boot.sh", 0o755, v)
	case Initramfs:
		file(initramfsFolder+"/hooks/inlay", "initramfs/hook", 0o755, v)
		file(initramfsFolder+"/scripts/init-bottom/inlay", "initramfs/script", 0o755, v)
	default:
		return nil, hint.Wrap(fmt.Errorf("placing the integration %q: nobody knows it", name), "name one of "+strings.Join(Names(), ", "))
	}
	return all, failed
}

// sysroot is the unit by which systemd 261 and newer merges from an initrd, for the
// system that is switched to.
func sysroot(k extension.Kind) string {
	return strings.TrimSuffix(k.Unit, ".service") + "-sysroot.service"
}

// merge is what systemd's own service for a kind is told.
func (o Options) merge(k extension.Kind) values {
	v := values{Kind: k.Name, Tool: k.Tool, Variable: "SYSTEMD_SYSEXT_HIERARCHIES"}
	if !k.Configuration {
		v.Hierarchies = o.Hierarchies
	}
	if o.Trusted {
		v.Policy = trustedPolicy
	}
	return v
}

// fill makes the text of a file: what stands between @ signs is filled in, and the
// lines from @IF NAME@ to @END@ are there only if NAME has a value. A package for
// templates would keep two megabytes in the program that nothing else needs.
func fill(from string, v values) ([]byte, error) {
	text, err := files.ReadFile("files/" + from)
	if err != nil {
		return nil, err
	}
	words := map[string]string{
		"PROGRAM": v.Program, "TRIALS": v.Trials, "TOOL": v.Tool, "VARIABLE": v.Variable, "HIERARCHIES": v.Hierarchies, "POLICY": v.Policy,
		"KIND": v.Kind,
	}
	var pairs []string
	for word, value := range words {
		pairs = append(pairs, "@"+word+"@", value)
	}
	replacer := strings.NewReplacer(pairs...)
	var b strings.Builder
	show := true
	for line := range strings.Lines(string(text)) {
		mark := strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(mark, "@IF "); ok {
			show = words[strings.TrimSuffix(name, "@")] != ""
			continue
		}
		switch {
		case mark == "@END@":
			show = true
		case show:
			b.WriteString(replacer.Replace(line))
		}
	}
	return []byte(b.String()), nil
}
