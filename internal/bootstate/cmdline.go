package bootstate

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

const (
	commandLine = "proc/cmdline"
	// maxCommandLine bounds it, in bytes. Kernels are built for 2 to 4 KiB; with
	// a boot configuration appended it may become 32 KiB more.
	maxCommandLine = 64 << 10

	wordUKI     = "rd.immucore.uki"
	wordRAM     = "kairos.ram"
	wordInstall = "install-mode"
)

// rule is a word of the command line and the state that it tells.
type rule struct {
	word  string
	state State
}

// rules are what the entries of GRUB's menu are told by. The first that occurs
// anywhere in the line wins: a reset boots the recovery system, and has its words.
func rules() []rule {
	return []rule{
		{"kairos.reset", AutoReset},
		{"COS_ACTIVE", Active},
		{"COS_PASSIVE", Passive},
		{"COS_RECOVERY", Recovery},
		{"COS_SYSTEM", Recovery},
		{"recovery-mode", Recovery},
		{"live:LABEL", LiveCD},
		{"live:CDLABEL", LiveCD},
		{"netboot", LiveCD},
	}
}

// commandLine looks at the kernel's command line.
func (d *detector) commandLine() error {
	b, err := readFile(d.root, commandLine, maxCommandLine)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.step("/"+commandLine, "", "there is none: it tells nothing")
		return nil
	case err != nil:
		return fmt.Errorf("reading the kernel's command line: %w", err)
	}
	d.words(string(b))
	return nil
}

// words notes what the words of the command line tell.
func (d *detector) words(line string) {
	const source = "/" + commandLine
	told := len(d.report.Steps)
	if strings.Contains(line, wordUKI) {
		d.report.UKI, d.made = true, true
		d.step(source, wordUKI, "a unified kernel image was booted")
	}
	d.installs = strings.Contains(line, wordInstall)
	if strings.Contains(line, wordRAM) {
		d.fromMemory = &finding{Active, wordRAM + " on the kernel's command line"}
		d.step(source, wordRAM, "the system runs in memory: "+string(Active))
	}
	for _, r := range rules() {
		if !strings.Contains(line, r.word) {
			continue
		}
		d.step(source, r.word, string(r.state))
		switch {
		case d.fromLine == nil:
			d.fromLine = &finding{r.state, r.word + " on the kernel's command line"}
		case d.fromLine.state != r.state && !(d.fromLine.state == AutoReset && r.state == Recovery):
			d.conflict("%s says %s, but %s is there, too, which says %s: the former counts", d.fromLine.by, d.fromLine.state, r.word, r.state)
		}
	}
	if len(d.report.Steps) == told {
		d.step(source, "", "no word in it tells the state")
	}
}

func (d *detector) step(source, found, conclusion string) {
	d.report.Steps = append(d.report.Steps, Step{oneLine(source), oneLine(found), oneLine(conclusion)})
}

func (d *detector) conflict(format string, args ...any) {
	d.report.Conflicts = append(d.report.Conflicts, oneLine(fmt.Sprintf(format, args...)))
}
