package cli

import (
	"fmt"
	"strings"

	"inlay/internal/extension"
)

// systemdVerbs are the words of systemd-sysext(8).
func systemdVerbs() map[string]string {
	return map[string]string{
		"status":  "Say what is merged (the default)",
		"merge":   "Merge extensions where none is merged",
		"unmerge": "Take merged extensions out",
		"refresh": "Merge extensions anew",
		"list":    "List the extensions that there are",
	}
}

// systemdHelp is what --help shows of a tool of systemd's.
func systemdHelp(k extension.Kind) string {
	var out strings.Builder
	row := func(left, right string) { fmt.Fprintf(&out, "  %-29s%s\n", left, right) }
	fmt.Fprintf(&out, "%s [OPTIONS...] COMMAND\n\n", k.Tool)
	fmt.Fprintf(&out, "Merge %s images into /%s: inlay, under the name of systemd's tool.\n\nCommands:\n", k.Name, strings.Join(k.Mergeable, " and /"))
	for _, word := range []string{"status", "merge", "unmerge", "refresh", "list"} {
		row(word, systemdVerbs()[word])
	}
	row("-h --help", "Show this help")
	row("   --version", "Show whose rules are followed")
	out.WriteString("\nOptions:\n")
	for _, option := range [][2]string{
		{"--root=PATH", "The system is the one below PATH"},
		{"--mutable=MODE", strings.Join(modeNames(), ", ") + "; help lists them"},
		{"--image-policy=POLICY", "What an image must have (systemd.image-policy(7))"},
		{"--noexec=BOOL", "Whether programs there may not be run"},
		{"--force", "Merge what was made for other hosts, too"},
		{"--no-reload", "Leave the service manager alone"},
		{"--always-refresh=BOOL", "Refresh even if nothing has changed"},
		{"--json=pretty|short|off", "Print JSON"},
		{"--no-legend", "Print no headers"},
		{"--no-pager", "There is no pager"},
	} {
		row("   "+option[0], option[1])
	}
	fmt.Fprintf(&out, "\nExit status: 0 done, 1 failed, 2 wrong usage, 3 refused by trust policy, 4 no such root,\n6 busy, 130 interrupted. See inlay-%s-refresh(1).\n", k.Name)
	return out.String()
}
