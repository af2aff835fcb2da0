package cli

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"

	"inlay/internal/build"
)

// progress shows how far a command is: a bar on a terminal, a line for each
// step elsewhere, nothing if it was asked to be quiet.
type progress struct {
	env   *Env
	quiet bool
	what  string // that the bar counts
	bar   *progressbar.ProgressBar
}

func (env *Env) newProgress(quiet bool) *progress {
	return &progress{env: env, quiet: quiet, what: "reading layers"}
}

func (p *progress) step(s build.Step) {
	if p.quiet {
		return
	}
	text := map[build.Step]string{build.StepRead: "reading layers", build.StepLook: "looking at earlier layers", build.StepPack: "packing"}[s]
	if p.env.Terminal || text == "" {
		return
	}
	fmt.Fprintln(p.env.Stderr, text)
}

// bytes is told how much of it was read.
func (p *progress) bytes(done, total int64) {
	if p.quiet || !p.env.Terminal {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.env.Stderr),
			progressbar.OptionSetDescription(p.what),
			progressbar.OptionShowBytes(true),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(100*time.Millisecond),
		)
	}
	if p.bar.GetMax64() != total {
		p.bar.ChangeMax64(total)
	}
	// A bar that cannot be drawn is no reason to stop a build.
	_ = p.bar.Set64(done)
}

// end takes the bar off the terminal.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
		p.bar = nil
	}
}
