package boot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"inlay/internal/bootstate"
	"inlay/internal/extension"
)

// pass is one boot step under way.
type pass struct {
	Options
	report *Report
	trust  *Trust
	begun  time.Time
	places []place // where the extensions of this boot lie
}

func newPass(o Options) *pass {
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Kinds) == 0 {
		o.Kinds = extension.Kinds()
	}
	if o.PerImage == 0 {
		o.PerImage = DefaultPerImage
	}
	p := &pass{Options: o, begun: o.Now()}
	p.report = &Report{Time: p.begun, Hook: o.Hook, DryRun: o.DryRun, Steps: []Step{}, Extensions: []Extension{}}
	return p
}

func (p *pass) total() time.Duration {
	if p.Total == 0 {
		return DefaultTotal
	}
	return p.Total
}

// run takes the steps in their order. None stops the next, unless that would be
// less strict for want of it.
func (p *pass) run(ctx context.Context) {
	if p.switchedOff() {
		return
	}
	if !p.step("state", func() (string, error) { return p.findState() }) {
		return
	}
	p.step("trust", func() (string, error) { return p.findTrust(ctx) })
	p.step("take in", func() (string, error) { return p.takeIn(ctx) })
	p.step("places", func() (string, error) { return p.findPlaces(ctx) })
	for _, k := range p.Kinds {
		p.step(k.Name, func() (string, error) { return p.linkGood(ctx, k) })
	}
	p.step("cover", func() (string, error) { return p.cover(ctx) })
	p.step("merge", func() (string, error) { return p.merge(ctx) })
}

// step takes one step and notes what came of it: an error, too, is only a line of
// the report. It says whether there was none. A step that has nothing to say leaves
// no line.
func (p *pass) step(name string, do func() (string, error)) bool {
	begun := p.Now()
	text, err := do()
	if err != nil {
		text = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if text == "" {
		return true
	}
	s := Step{Step: name, Text: text, Bad: err != nil, Duration: p.Now().Sub(begun).Milliseconds()}
	p.report.Steps = append(p.report.Steps, s)
	p.say(s.line())
	return err == nil
}

func (s Step) line() string { return s.Step + ": " + s.Text }

func (p *pass) say(line string) {
	if p.Line != nil {
		p.Line(line)
	}
}

// problem notes something that stops nothing.
func (p *pass) problem(format string, args ...any) {
	p.report.Problems = append(p.report.Problems, fmt.Sprintf(format, args...))
}

func (p *pass) findState() (string, error) {
	if p.State == nil {
		state, err := bootstate.Detect(p.System)
		if err != nil {
			return "", err
		}
		p.State = state
	}
	p.report.Boot = p.State
	text := string(p.State.State)
	if p.State.TrustedBoot {
		text += ", trusted boot"
	}
	return text, nil
}

// profiles are those whose extensions this boot uses: that of the state before those
// that are common to all.
func (p *pass) profiles() []string {
	return slices.DeleteFunc([]string{p.State.Profile, "common"}, func(s string) bool { return s == "" })
}
