package boot

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"inlay/internal/stage"
)

// merge hands over. Without a Merger, systemd's services come later.
func (p *pass) merge(ctx context.Context) (string, error) {
	var said []string
	for _, k := range p.Kinds {
		m := Merge{Kind: k.Name, Engine: "systemd"}
		if p.Merger != nil && !p.DryRun {
			engine, err := p.Merger.Merge(ctx, k)
			m.Engine, m.Done = engine, err == nil
			if err != nil {
				m.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
				said = append(said, k.Name+": "+m.Error)
			} else {
				said = append(said, k.Name+" by "+engine)
			}
		}
		p.report.Merges = append(p.report.Merges, m)
	}
	return strings.Join(said, ", "), nil
}

// finish writes the report. That it cannot be written is said and nothing more.
func (p *pass) finish() {
	for _, at := range p.places {
		if at.store != nil {
			_ = at.store.Close() // it was only read
		}
	}
	p.report.Duration = p.Now().Sub(p.begun).Milliseconds()
	if p.DryRun {
		return
	}
	text, err := json.MarshalIndent(p.report, "", "  ")
	if err == nil {
		err = write(p.System, ReportFile, append(text, '\n'))
	}
	if err == nil {
		err = write(p.System, LogFile, p.report.Lines())
	}
	if err != nil {
		p.say("report: " + err.Error())
	}
}

// Lines is the report as a log.
func (r *Report) Lines() []byte {
	var b []byte
	stamp := r.Time.UTC().Format("2006-01-02T15:04:05Z")
	for _, s := range r.Steps {
		b = fmt.Appendf(b, "%s %s\n", stamp, s.line())
	}
	for _, x := range r.Extensions {
		b = fmt.Appendf(b, "%s %s %s: %s", stamp, x.Kind, x.FileName, x.Result)
		if x.Reason != "" {
			b = fmt.Appendf(b, ": %s", x.Reason)
		}
		b = append(b, '\n')
	}
	for _, problem := range r.Problems {
		b = fmt.Appendf(b, "%s problem: %s\n", stamp, problem)
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
