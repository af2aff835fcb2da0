package boot

import (
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/rooted"
)

// Switch is the word of the kernel's command line that switches the boot step off.
const Switch = "inlay.boot=0"

// maxCommandLine bounds the kernel's command line, in bytes: Linux has up to 8 KiB.
const maxCommandLine = 64 << 10

// switchedOff says whether the kernel's command line switches off the whole pass. It
// also takes out the kinds that systemd would not merge: systemd.sysext=0. A command
// line that cannot be read switches nothing off.
func (p *pass) switchedOff() bool {
	text, err := rooted.ReadFile(p.System, "proc/cmdline", maxCommandLine)
	if err != nil {
		p.problem("reading the kernel's command line: %v", err)
		return false
	}
	words := strings.Fields(string(text))
	if said(words, "inlay.boot") == "0" {
		p.report.Off = Switch
		p.say("off: " + Switch + " is on the kernel's command line")
		return true
	}
	p.Kinds = slices.DeleteFunc(slices.Clone(p.Kinds), func(k extension.Kind) bool {
		key := "systemd." + k.Name
		off := slices.Contains([]string{"0", "no", "false", "off", "n", "f"}, strings.ToLower(said(words, key)))
		if off {
			p.step(k.Name, func() (string, error) { return "off: " + key + "=0 is on the kernel's command line", nil })
		}
		return off
	})
	return false
}

// said returns the last value that words give a key, "" if none does.
func said(words []string, key string) (value string) {
	for _, word := range words {
		if k, v, _ := strings.Cut(word, "="); k == key {
			value = v
		}
	}
	return value
}
