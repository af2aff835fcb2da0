package boot

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"

	"inlay/internal/rooted"
	"inlay/internal/stage"
)

// maxEarlier bounds how many passes of the same boot a report remembers.
const maxEarlier = 8

// finish writes the report. That it cannot be written is said and nothing more.
func (p *pass) finish(r *Report) *Report {
	r.Duration = p.Now().Sub(p.begun).Milliseconds()
	if p.DryRun {
		return r
	}
	if old, err := ReadReport(p.System); err == nil && old != nil {
		r.Earlier = append(old.Earlier, old.pass())
		r.Earlier = r.Earlier[max(0, len(r.Earlier)-maxEarlier):]
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = write(p.System, ReportFile, append(text, '\n'))
	}
	if err == nil {
		// Of an earlier pass the log tells, too.
		old, readErr := rooted.ReadFile(p.System, LogFile, maxReport)
		if readErr != nil {
			old = nil
		}
		err = write(p.System, LogFile, append(old, r.Lines()...))
	}
	if err != nil && p.Line != nil {
		p.Line("report: " + err.Error())
	}
	return r
}

// pass is what a later report of the same boot remembers of one.
func (r *Report) pass() Earlier {
	e := Earlier{Time: r.Time, Duration: r.Duration, Hook: r.Hook, Off: r.Off}
	for _, x := range r.Extensions {
		if x.Result == Linked {
			e.Linked = append(e.Linked, x.FileName)
		}
	}
	return e
}

// Lines is the report as a log. What others have named cannot make lines of its own.
func (r *Report) Lines() []byte {
	var b []byte
	stamp := r.Time.UTC().Format("2006-01-02T15:04:05Z")
	add := func(format string, args ...any) {
		b = append(b, stamp+" "+strings.Map(func(c rune) rune {
			if unicode.IsControl(c) {
				return unicode.ReplacementChar
			}
			return c
		}, fmt.Sprintf(format, args...))+"\n"...)
	}
	if r.Off != "" {
		add("off: %s", r.Off)
	}
	for _, s := range r.Steps {
		add("%s", s.line())
	}
	for _, x := range r.Extensions {
		reason := ""
		if x.Reason != "" {
			reason = ": " + x.Reason
		}
		add("%s %s: %s%s", x.Kind, x.FileName, x.Result, reason)
	}
	for _, problem := range r.Problems {
		add("problem: %s", problem)
	}
	return b
}

func write(root *os.Root, name string, text []byte) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("making %q: %w", "/"+path.Dir(name), err)
	}
	f, err := stage.Create(filepath.Join(root.Name(), filepath.FromSlash(name)), 0o644)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.WriteAt(text, 0); err != nil {
		return fmt.Errorf("writing %q: %w", "/"+name, err)
	}
	return f.Commit()
}
