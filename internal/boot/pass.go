package boot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"inlay/internal/bootstate"
	"inlay/internal/extension"
	"inlay/internal/trust"
)

// pass is one boot step under way.
type pass struct {
	Options
	trust  *Trust
	untold error // why systemd may not know whom to trust
	begun  time.Time
	words  []string // of the kernel's command line
	places []place  // where the extensions of this boot lie
	// open says, by the name of a kind, why systemd is not to merge it.
	open map[string]string

	mu sync.Mutex // of what follows
	// report is what was done so far.
	report *Report
	// left says that the report was given out while a step hangs, and at is the step.
	left bool
	at   string
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
	if o.InMemory == nil {
		o.InMemory = trust.InMemory
	}
	p := &pass{Options: o, begun: o.Now(), open: map[string]string{}}
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
	p.step("hand-over", p.takeBack)
	p.step("firmware", p.mountFirmware)
	known := p.step("state", p.findState)
	off := p.switchedOff()
	// What keeps others out stands, whatever is switched off, and before certificates
	// and images are read that somebody could have made to bring this step down.
	p.step("cover", func() (string, error) { return p.cover(ctx) })
	if off || !known {
		return
	}
	p.step("trust", func() (string, error) { return p.findTrust(ctx) })
	p.step("take in", func() (string, error) { return p.takeIn(ctx) })
	p.step("places", func() (string, error) { return p.findPlaces(ctx) })
	for _, k := range p.Kinds {
		p.step(k.Name, func() (string, error) { return p.linkGood(ctx, k) })
	}
	p.step("merge", func() (string, error) { return p.merge(ctx) })
}

// step takes one step and notes what came of it: an error, too, is only a line of
// the report. It says whether there was none. A step that has nothing to say leaves
// no line.
func (p *pass) step(name string, do func() (string, error)) bool {
	if p.abandoned() {
		return false
	}
	p.mu.Lock()
	p.at = name
	p.mu.Unlock()
	begun := p.Now()
	text, err := do()
	if err != nil {
		text = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if text == "" {
		return true
	}
	s := Step{Step: name, Text: text, Bad: err != nil, Duration: p.Now().Sub(begun).Milliseconds()}
	p.note(func(r *Report) { r.Steps = append(r.Steps, s) })
	p.say(s.line())
	return err == nil
}

func (s Step) line() string { return s.Step + ": " + s.Text }

func (p *pass) say(line string) {
	if p.Line != nil && !p.abandoned() {
		p.Line(line)
	}
}

// problem notes something that stops nothing.
func (p *pass) problem(format string, args ...any) {
	p.note(func(r *Report) { r.Problems = append(r.Problems, fmt.Sprintf(format, args...)) })
}

// note writes into the report, unless that was given out already.
func (p *pass) note(write func(*Report)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.left {
		write(p.report)
	}
}

func (p *pass) findState() (string, error) {
	if p.State == nil {
		state, err := bootstate.Detect(p.System)
		if err != nil {
			return "", err
		}
		p.State = state
	}
	p.note(func(r *Report) { r.Boot = p.State })
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
