package cli_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"inlay/internal/cli"
)

// TestEveryFlagIsInAScript holds the scripts to the rule that every command
// and every flag appears in success and in failure.
func TestEveryFlagIsInAScript(t *testing.T) {
	t.Parallel()
	good, bad := map[string]bool{}, map[string]bool{}
	for _, line := range scriptLines(t) {
		args := strings.Fields(line)
		switch {
		case len(args) > 2 && args[0] == "exec":
			noteFlags(args[1:], good)
		case len(args) > 3 && (args[0] == "exits" || args[0] == "answers") && args[1] != "0", len(args) > 3 && args[0] == "interrupt":
			noteFlags(args[2:], bad)
		case slices.Contains(args, "!") && slices.Contains(args, "inlay"):
			t.Errorf("%q: say which exit code, with exits", line)
		}
	}
	for _, program := range programs() {
		for _, want := range flagsOf(cli.CommandNamed(program)) {
			if !good[want] {
				t.Errorf("no script has %q in success", want)
			}
			if !bad[want] {
				t.Errorf("no script has %q in failure", want)
			}
		}
	}
}

// TestScriptsSayTheirPromise reads the first line of each script.
func TestScriptsSayTheirPromise(t *testing.T) {
	t.Parallel()
	for file, text := range scripts(t) {
		first, _, _ := strings.Cut(text, "\n")
		if !strings.HasPrefix(first, "# ") || len(first) < 20 {
			t.Errorf("%s begins with %q and not with the promise that it guards", file, first)
		}
	}
}

// scripts returns the commands of every script by its file.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	all := map[string]string{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[file] = string(archive.Comment)
	}
	return all
}

func scriptLines(t *testing.T) []string {
	t.Helper()
	var lines []string
	for _, text := range scripts(t) {
		lines = append(lines, strings.Split(text, "\n")...)
	}
	return lines
}

// noteFlags notes the command and the flags of a command line.
func noteFlags(args []string, seen map[string]bool) {
	if !slices.Contains(programs(), args[0]) {
		return
	}
	c, rest, err := cli.CommandNamed(args[0]).Find(args[1:])
	if err != nil {
		return
	}
	seen[c.CommandPath()] = true
	for _, word := range rest {
		if word == "--" {
			break
		}
		name, _, _ := strings.Cut(word, "=")
		if f := c.Flags().Lookup(strings.TrimPrefix(name, "--")); f != nil && strings.HasPrefix(name, "--") {
			seen[c.CommandPath()+" --"+f.Name] = true
		}
	}
}

// flagsOf lists the paths of c and all below it, alone and with each flag. A
// command that only groups others has nothing to succeed or fail in.
func flagsOf(c *cobra.Command) []string {
	var list []string
	if !c.HasSubCommands() {
		list = append(list, c.CommandPath())
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" {
				list = append(list, c.CommandPath()+" --"+f.Name)
			}
		})
	}
	for _, child := range c.Commands() {
		list = append(list, flagsOf(child)...)
	}
	return list
}

// TestTourBlocks finds the README's tour, which TestTour in tour_test.go runs.
func TestTourBlocks(t *testing.T) {
	t.Parallel()
	const readme = "intro\n```sh tour\none\ntwo \\\n  more\n```\n```sh\nno\n```\n```sh tour\nthree\n```\n"
	want := []string{"one", "two \\\n  more", "three"}
	if got := tourCommands([]byte(readme)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// tourCommands returns the commands of the README's blocks that are marked "sh
// tour", in their order; a backslash joins lines.
func tourCommands(readme []byte) []string {
	var commands []string
	inTour, open := false, false
	for line := range bytes.Lines(readme) {
		text := strings.TrimRight(string(line), "\n")
		switch {
		case strings.HasPrefix(text, "```"):
			inTour = text == "```sh tour"
		case !inTour || strings.TrimSpace(text) == "":
		case open:
			commands[len(commands)-1] += "\n" + text
		default:
			commands = append(commands, text)
		}
		open = inTour && strings.HasSuffix(text, `\`)
	}
	return commands
}
