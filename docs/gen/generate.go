package main

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// generate returns every file by its path below docs/, with slashes.
func generate(root *cobra.Command) (map[string][]byte, error) {
	root.DisableAutoGenTag = true // it holds the day
	root.InitDefaultCompletionCmd()
	files := map[string][]byte{}
	for command := range tree(root) {
		command.Long = fenced(command.Long)
		command.Flags().VisitAll(hideMachine)
		command.PersistentFlags().VisitAll(hideMachine)
		dashed := strings.ReplaceAll(command.CommandPath(), " ", "-")
		page, err := manual(command)
		if err != nil {
			return nil, fmt.Errorf("writing the man page of %q: %w", command.CommandPath(), err)
		}
		files["man/"+dashed+".1"] = page

		var reference bytes.Buffer
		if err := doc.GenMarkdownCustom(command, &reference, link); err != nil {
			return nil, fmt.Errorf("writing the reference of %q: %w", command.CommandPath(), err)
		}
		files["cli/"+dashed+".md"] = tidy(reference.Bytes())
	}
	for name, shell := range map[string]func(io.Writer) error{
		"inlay.bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"_inlay":     root.GenZshCompletion,
		"inlay.fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
	} {
		var script bytes.Buffer
		if err := shell(&script); err != nil {
			return nil, fmt.Errorf("writing the completion %q: %w", name, err)
		}
		files["completions/"+name] = script.Bytes()
	}
	return files, nil
}

// tree yields a command and all below it that a user is shown.
func tree(command *cobra.Command) iter.Seq[*cobra.Command] {
	return func(yield func(*cobra.Command) bool) { visit(command, yield) }
}

// visit yields until yield has had enough, and says whether it wants more.
func visit(command *cobra.Command, yield func(*cobra.Command) bool) bool {
	if !yield(command) {
		return false
	}
	for _, child := range command.Commands() {
		if !child.IsAvailableCommand() || child.IsAdditionalHelpTopicCommand() {
			continue
		}
		if !visit(child, yield) {
			return false
		}
	}
	return true
}

// fenced marks the indented lines of a help text as such, so that its lists and
// tables survive being a paragraph.
func fenced(text string) string {
	var out strings.Builder
	inside := false
	for line := range strings.SplitSeq(text, "\n") {
		if indented := strings.HasPrefix(line, "  "); indented != inside {
			out.WriteString(map[bool]string{true: "\n```\n", false: "```\n"}[indented])
			inside = indented
		}
		out.WriteString(line + "\n")
	}
	if inside {
		out.WriteString("```\n")
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// hideMachine rewrites a default that would differ on another machine.
func hideMachine(f *pflag.Flag) {
	if f.DefValue == runtime.GOARCH {
		f.DefValue = "this machine's"
	}
}

// manual returns the man page of one command.
func manual(command *cobra.Command) ([]byte, error) {
	// The date is dropped again below; given here, nobody asks the clock.
	never := time.Unix(0, 0).UTC()
	header := &doc.GenManHeader{Section: "1", Source: "Inlay", Manual: "Inlay Manual", Date: &never}
	var page bytes.Buffer
	if err := doc.GenMan(command, header, &page); err != nil {
		return nil, err
	}
	return dateless(page.Bytes())
}

// dateless empties the third argument of a page's title line, its date.
func dateless(page []byte) ([]byte, error) {
	title := regexp.MustCompile(`(?m)^(\.TH "[^"]*" "[^"]*") "[^"]*"`)
	if n := len(title.FindAll(page, -1)); n != 1 {
		return nil, fmt.Errorf("finding the title line: there are %d", n)
	}
	return title.ReplaceAll(page, []byte(`$1 ""`)), nil
}

// link turns the library's name for a page into ours.
func link(name string) string { return strings.ReplaceAll(name, "_", "-") }

// tidy ends a text with one line feed and its lines without blanks.
func tidy(text []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(bytes.TrimSpace(text)) {
		out.Write(bytes.TrimRight(line, " \t\n"))
		out.WriteByte('\n')
	}
	return out.Bytes()
}
