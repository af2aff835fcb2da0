// Package bootstate tells which profile of a Kairos node was booted, and by what
// that was decided; and whether it was a trusted boot.
//
// There are three witnesses. The later counts only where the earlier is silent:
//
//  1. The folder /run/cos: the boot itself (immucore, in the initramfs) leaves
//     the file active_mode, passive_mode, recovery_mode, autoreset_mode or
//     live_mode there. It is what the node's other tools go by, and by what the
//     boot has linked extensions. It lives in memory, so it is of this boot. Of
//     two such files, none is believed.
//  2. The boot loader's variables, where the command line (rd.immucore.uki) or
//     /run/cos (uki_boot_mode, uki_install_mode) says that a unified kernel image
//     (UKI) was booted: no LoaderDevicePartUUID is a live medium, which was not
//     started from a disk with partitions; otherwise the name of the entry,
//     LoaderEntrySelected, begins with active, passive, recovery or statereset.
//     What a boot counter adds to it ("active+3.conf", "active+2-1") doesn't
//     matter. A stick has partitions, and is a live medium: its entry begins with
//     norole, or is no profile's and the command line has install-mode. That word
//     alone says nothing, since an installer leaves it in. Of a UKI that only its StubInfo variable shows, and which so was
//     not made for Kairos, they count after the command line.
//  3. The kernel's command line, by words anywhere in it, in this order:
//     kairos.reset; COS_ACTIVE; COS_PASSIVE; COS_RECOVERY, COS_SYSTEM or
//     recovery-mode; live:LABEL, live:CDLABEL or netboot. kairos.ram comes before
//     them and before the boot loader's variables: a system in memory is active,
//     whatever it was loaded by.
//
// Where all are silent, uki_install_mode is a medium that installs.
//
// What disagrees is a conflict of the report. Nothing of it is secret, and of
// the command line only the words that mattered are shown.
//
// The state says which extensions are wanted, not whom to trust: whoever can
// write to /run/cos is root already. TrustedBoot, on which trust does depend, is
// decided by the kernel's and the firmware's witness alone, and to the strict
// side: of a UKI, only a firmware that says so unlocks it.
//
// Left out on purpose: boot assessment (whether this boot is good), and the
// partitions behind the states.
package bootstate

import (
	"errors"
	"os"
	"strings"
	"unicode"
)

// State is what was booted, in the words of the files in /run/cos.
type State string

// The states. AutoReset is a boot that resets the node, in the recovery system;
// LiveCD is any live medium, Installer one that is known to install.
const (
	Active    State = "active"
	Passive   State = "passive"
	Recovery  State = "recovery"
	AutoReset State = "autoreset"
	LiveCD    State = "livecd"
	Installer State = "installer"
	Unknown   State = "unknown"
)

// Profile returns the profile whose extensions the state uses besides those
// that are common to all: "active", "passive" or "recovery", and "" where there
// is none (live media, and what is unknown).
func (s State) Profile() string {
	switch s {
	case Active, Passive, Recovery:
		return string(s)
	case AutoReset:
		return string(Recovery)
	}
	return ""
}

// Report is what was found out. Its strings hold printable characters only.
type Report struct {
	State State `json:"state"`
	// Profile is that of State; "" is none.
	Profile string `json:"profile"`
	// TrustedBoot says that a UKI was booted under Secure Boot, as far as can
	// be told: of a UKI whose firmware's variables cannot be read it is true,
	// which is the stricter answer.
	TrustedBoot bool `json:"trustedBoot"`
	UKI         bool `json:"uki"`
	// SecureBoot says that Secure Boot is known to be on, and the firmware not
	// in setup mode, in which anybody could exchange its keys.
	SecureBoot bool `json:"secureBoot"`
	// Decided says by what State was decided; "" if by nothing.
	Decided string `json:"decided"`
	// Conflicts says which witnesses contradict the decision or each other.
	Conflicts []string `json:"conflicts,omitempty"`
	// Steps are all that was looked at, in that order.
	Steps []Step `json:"steps"`
}

// Step is one look at a witness.
type Step struct {
	// Source is what was looked at, Found what was there, Conclusion what
	// follows. Found is "" if there was nothing.
	Source     string `json:"source"`
	Found      string `json:"found"`
	Conclusion string `json:"conclusion"`
}

// Detect finds out what was booted from what lies below root: proc/cmdline,
// run/cos and sys/firmware/efi/efivars. What is missing there is no error, nor
// is a variable that cannot be read, which the report tells of. A command line
// that is there and cannot be read is one: nothing could be told then.
func Detect(root *os.Root) (*Report, error) {
	if root == nil {
		return nil, errors.New("detecting the boot state: there is no root folder")
	}
	d := &detector{root: root, report: &Report{State: Unknown, Steps: []Step{}}}
	if err := d.commandLine(); err != nil {
		return nil, err
	}
	d.sentinels()
	d.loader()
	d.decide()
	d.trusted()
	return d.report, nil
}

// finding is a state and by what it is told.
type finding struct {
	state State
	by    string
}

// detector collects findings, in no order of rank yet.
type detector struct {
	root   *os.Root
	report *Report
	// firmware says that variables can be seen.
	firmware bool
	// made says that the UKI is one of Kairos': not only its stub tells of it.
	made bool
	// installs says that its command line asks for an installation.
	installs bool

	fromRun    *finding
	fromMemory *finding // kairos.ram
	fromLoader *finding
	fromLine   *finding
	medium     *finding // uki_install_mode
}

// ranked returns what was found, the most credible first.
func (d *detector) ranked() []*finding {
	switch {
	case d.fromMemory != nil:
		return []*finding{d.fromRun, d.fromMemory}
	case d.made:
		return []*finding{d.fromRun, d.fromLoader, d.fromLine, d.medium}
	default:
		return []*finding{d.fromRun, d.fromLine, d.fromLoader}
	}
}

// decide ranks the findings and notes which contradict the first.
func (d *detector) decide() {
	var first *finding
	for _, f := range d.ranked() {
		switch {
		case f == nil:
		case first == nil:
			first = f
		case !agree(first.state, f.state):
			d.conflict("%s says %s, but %s says %s: the former counts", first.by, first.state, f.by, f.state)
		}
	}
	if first == nil {
		d.step("decision", "", "nothing tells the state")
		return
	}
	d.report.State, d.report.Decided = first.state, first.by
	d.report.Profile = first.state.Profile()
}

// agree says whether two witnesses may both be right.
func agree(a, b State) bool {
	medium := func(s State) bool { return s == LiveCD || s == Installer }
	return a == b || medium(a) && medium(b)
}

// oneLine makes text of any origin fit to be shown.
func oneLine(text string) string {
	// shown is how much of it is of use to anybody.
	const shown = 200
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > shown {
		text = strings.ToValidUTF8(text[:shown], "") + "…"
	}
	return text
}
