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
// line that cannot be read switches nothing off. In an initial RAM disk the words that
// are for it alone (rd.…) count, too.
func (p *pass) switchedOff() bool {
	text, err := rooted.ReadFile(p.System, "proc/cmdline", maxCommandLine)
	if err != nil {
		p.problem("reading the kernel's command line: %v", err)
		return false
	}
	p.words = commandWords(string(text))
	if word := p.off("inlay.boot"); word != "" {
		p.note(func(r *Report) { r.Off = word })
		p.say("off: " + word + " is on the kernel's command line")
		return true
	}
	p.Kinds = slices.DeleteFunc(slices.Clone(p.Kinds), func(k extension.Kind) bool {
		word := p.off("systemd." + k.Name)
		if word != "" {
			p.step(k.Name, func() (string, error) { return "off: " + word + " is on the kernel's command line", nil })
		}
		return word != ""
	})
	return false
}

// off returns the word by which the command line switches something off, "" if it
// doesn't.
func (p *pass) off(key string) (by string) {
	for _, word := range p.words {
		k, value, _ := strings.Cut(word, "=")
		if strings.ReplaceAll(k, "-", "_") != key && (p.InPlace || strings.ReplaceAll(k, "-", "_") != "rd."+key) {
			continue
		}
		// The last one counts.
		if by = ""; isNo(value) {
			by = word
		}
	}
	return by
}

// isNo says whether a value is one of systemd's words for no.
func isNo(value string) bool {
	return slices.Contains([]string{"0", "no", "n", "false", "f", "off"}, strings.ToLower(value))
}

// commandWords takes a command line apart, as the kernel does: between double quotes
// a blank is one like any other, and the quotes are not part of the word.
func commandWords(text string) (words []string) {
	var word []byte
	begun, quoted := false, false
	for _, c := range []byte(text + "\n") {
		switch {
		case c == '"':
			begun, quoted = true, !quoted
		case quoted || c != ' ' && c != '\t' && c != '\n':
			begun, word = true, append(word, c)
		case begun:
			words = append(words, string(word))
			begun, word = false, word[:0]
		}
	}
	if begun { // between quotes that nobody has closed
		words = append(words, strings.TrimRight(string(word), "\n"))
	}
	return words
}
