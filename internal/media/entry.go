package media

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/uki"
)

// Entry is one thing to boot: a unified kernel image of its own, which holds
// further command lines as profiles if it has some.
type Entry struct {
	Name    string // of its files, without suffix: "norole"
	Title   string // in the boot menu
	Cmdline string
	// Role is "install" or, of an entry for an installed system, its profile.
	Role string
	// Profiles are further entries inside of the same image.
	Profiles []uki.Profile
}

// The roles of entries. RoleInstall is what media boot; its files are called
// "norole", since whoever installs gives them the names of the other roles.
const (
	RoleInstall  = "install"
	RoleActive   = "active"
	RolePassive  = "passive"
	RoleRecovery = "recovery"
)

// Roles lists all of them.
func Roles() []string { return []string{RoleInstall, RoleActive, RolePassive, RoleRecovery} }

// The command lines. An image without one would boot with whatever words the
// loader hands it, under Secure Boot too, so there always is one.
const (
	// CmdlineKairos is what images of Kairos boot with; nodes and their tools
	// look for these words.
	CmdlineKairos = "console=ttyS0 console=tty1 net.ifnames=1 rd.immucore.oemlabel=COS_OEM rd.immucore.oemtimeout=2" +
		" rd.immucore.uki selinux=0 panic=5 rd.shell=0 systemd.crash_reboot=yes"
	// CmdlinePlain is for all other systems: messages on the serial line and on
	// the screen, root and all else as systemd finds it.
	CmdlinePlain = "console=ttyS0 console=tty1"

	installWord = "install-mode" // what makes Kairos install
)

// maxCmdline is what the kernel takes on x86 (COMMAND_LINE_SIZE), one NUL less.
const maxCmdline = 2047

// EntryOptions say which entries to make.
type EntryOptions struct {
	// Kairos says that the system is one, and which words it wants.
	Kairos bool
	// Cmdline replaces the words that all entries begin with; "" is the default.
	Cmdline string
	// Title in the boot menu; "" is "Kairos" or "Linux".
	Title string
	// Roles of the entries; none means RoleInstall.
	Roles []string
	// Extend is added to each entry that a role makes.
	Extend string
	// Extra makes an entry for each, which is the first with these words added,
	// or a profile of each entry if Profiles is set.
	Extra    []string
	Profiles bool
	// Single makes an entry for each "TITLE: WORDS" or "WORDS".
	Single []string
}

// Entries returns what o describes, the default first.
func Entries(o EntryOptions) ([]Entry, error) {
	base, title := CmdlinePlain, "Linux"
	if o.Kairos {
		base, title = CmdlineKairos, "Kairos"
	}
	if o.Cmdline != "" {
		base = strings.TrimSpace(o.Cmdline)
	}
	if o.Title != "" {
		title = o.Title
	}
	m := entryMaker{EntryOptions: o, base: base, title: title}
	if len(o.Roles) == 0 {
		m.Roles = []string{RoleInstall}
	}
	return m.make()
}

type entryMaker struct {
	EntryOptions
	base, title string
}

func (m *entryMaker) make() ([]Entry, error) {
	var entries []Entry
	for _, role := range m.Roles {
		if !slices.Contains(Roles(), role) {
			return nil, hint.Wrap(fmt.Errorf("there is no role %q", role), "choose "+strings.Join(Roles(), ", "))
		}
		entries = append(entries, m.ofRole(role))
	}
	first := entries[0]
	for i, words := range m.Extra {
		if m.Profiles {
			for j := range entries {
				entries[j].Profiles = append(entries[j].Profiles, uki.Profile{
					ID: fmt.Sprintf("extra%d", i+1), Title: profileTitle(words), Cmdline: join(entries[j].Cmdline, words),
				})
			}
			continue
		}
		entries = append(entries, Entry{
			Name: first.Name + "_" + fileWords(join(m.install(), words)), Title: first.Title + " (" + words + ")", Cmdline: join(first.Cmdline, words), Role: first.Role,
		})
	}
	for _, text := range m.Single {
		entries = append(entries, m.single(text))
	}
	return entries, check(entries)
}

// install returns the word that makes a system install, if it has one.
func (m *entryMaker) install() string {
	if m.Kairos {
		return installWord
	}
	return ""
}

func (m *entryMaker) ofRole(role string) Entry {
	e := Entry{Name: role, Title: m.title, Cmdline: m.base, Role: role}
	switch role {
	case RoleInstall:
		e.Name, e.Cmdline = "norole", join(m.base, m.install())
	case RolePassive:
		e.Title += " (fallback)"
	case RoleRecovery:
		e.Title += " recovery"
	}
	e.Cmdline = join(e.Cmdline, m.Extend)
	return e
}

func (m *entryMaker) single(text string) Entry {
	title, words, titled := strings.Cut(text, ":")
	if !titled {
		title, words = "", text
	}
	e := Entry{Title: m.title, Cmdline: join(m.base, m.install(), words), Name: "single_entry_" + fileWords(words), Role: RoleInstall}
	if titled {
		e.Title, e.Name = m.title+" ("+title+")", fileWords(title)
	}
	return e
}

// join puts words after each other, with one space between them.
func join(words ...string) string {
	var kept []string
	for _, w := range words {
		if w = strings.TrimSpace(w); w != "" {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, " ")
}

// fileWords makes a file's name of words: in lower case, as FAT tells no cases
// apart, and without what a shell or a boot loader could stumble over.
func fileWords(words string) string {
	clean := regexp.MustCompile(`[^a-zA-Z0-9.-]+`).ReplaceAllString(words, "_")
	return strings.ToLower(strings.Trim(clean, "_"))
}

// profileTitle makes a title of words, without what no title may have.
func profileTitle(words string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("\"'`$\\", c) {
			return -1
		}
		return c
	}, words)
}

// maxEntryName keeps names, with suffix and the counters that boot loaders add,
// within what FAT takes.
const maxEntryName = 200

// check refuses entries that would overwrite each other or not boot.
func check(entries []Entry) error {
	seen := map[string]bool{}
	for _, e := range entries {
		switch {
		case e.Name == "" || len(e.Name) > maxEntryName:
			return hint.Wrap(fmt.Errorf("no name of a file can be made of the entry %q", e.Title), "give it a short title of letters and digits, as in \"Debug: systemd.log_level=debug\"")
		case seen[e.Name]:
			return hint.Wrap(fmt.Errorf("two entries would both be %q", e.Name+".efi"), "give them different titles or words")
		}
		seen[e.Name] = true
		lines := []string{e.Cmdline}
		for _, p := range e.Profiles {
			lines = append(lines, p.Cmdline)
		}
		for _, line := range lines {
			if err := checkCmdline(line); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkCmdline(line string) error {
	switch {
	case line == "":
		return hint.Wrap(errors.New("the kernel command line is empty"), "give it a word such as quiet: an image without a command line takes one from anybody")
	case len(line) > maxCmdline:
		return hint.Wrap(fmt.Errorf("a kernel command line has %d characters, more than the %d that the kernel takes", len(line), maxCmdline), "leave some words out")
	case strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || c > '~' }):
		return hint.Wrap(fmt.Errorf("the kernel command line %q has characters that are not printable ASCII", line), "write it in ASCII, on one line")
	}
	return nil
}
