package cli

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/schollz/progressbar/v3"

	"inlay/internal/build"
	"inlay/internal/keys"
)

// failed is what JSON has in the place of a result.
type failed struct {
	Name         string   `json:"name"`
	Kind         string   `json:"kind"`
	Architecture string   `json:"architecture"`
	Error        string   `json:"error"`
	Hints        []string `json:"hints,omitempty"`
}

// reportList prints what became of a list: a line for each image, or one JSON
// array. The error says how many there are not.
func (env *Env) reportList(plan []planned, outcomes []build.Outcome, asJSON bool) error {
	var all []any
	wrong := 0
	for i, o := range outcomes {
		p := plan[i]
		if o.Err != nil {
			wrong++
			s := p.job.Options
			all = append(all, failed{s.Name, s.Kind.Name, s.Architecture.Word, o.Err.Error(), adviceFor(o.Err)})
			if !asJSON {
				env.report("inlay", fmt.Errorf("%s: %w", p.label(), o.Err), false)
			}
			continue
		}
		all = append(all, o.Result)
		if !asJSON {
			env.printBuilt(o.Result)
		}
	}
	if asJSON {
		if err := env.printJSON(all); err != nil {
			return err
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %s could not be built", wrong, count(len(plan), "image"))
	}
	return nil
}

// printBuilt prints a result as one line, and what to know of it.
func (env *Env) printBuilt(r *build.Result) {
	as := r.Signature
	if r.Unchanged {
		as += ", unchanged"
	}
	fmt.Fprintf(env.Stdout, "%s  %s  %s  %s\n", r.RootHash, size(r.Size), printable(r.Path), as)
	for _, n := range r.Notes {
		fmt.Fprintf(env.Stderr, "note: %s: %s\n", printable(r.Path), printable(n))
	}
	for _, w := range r.Warnings {
		env.warn([]string{r.Path + ": " + w})
	}
}

// listProgress shows how many images of a list are done: a bar on a terminal, a
// line for each elsewhere.
type listProgress struct {
	env   *Env
	quiet bool
	bar   *progressbar.ProgressBar
}

func (env *Env) newListProgress(images int, quiet bool) *listProgress {
	p := &listProgress{env: env, quiet: quiet}
	if env.Terminal && !quiet {
		p.bar = progressbar.NewOptions(images,
			progressbar.OptionSetWriter(env.Stderr),
			progressbar.OptionSetDescription("building"),
			progressbar.OptionShowCount(),
			progressbar.OptionClearOnFinish(),
		)
	}
	return p
}

func (p *listProgress) done(what planned, o build.Outcome) {
	switch {
	case p.quiet:
	case p.bar != nil:
		// A bar that cannot be drawn is no reason to stop a build.
		_ = p.bar.Add(1)
	case errors.Is(o.Err, context.Canceled):
	case o.Err != nil:
		fmt.Fprintf(p.env.Stderr, "failed %s\n", printable(what.label()))
	case o.Result.Unchanged:
		fmt.Fprintf(p.env.Stderr, "unchanged %s\n", printable(o.Result.Path))
	default:
		fmt.Fprintf(p.env.Stderr, "built %s\n", printable(o.Result.Path))
	}
}

// end takes the bar off the terminal.
func (p *listProgress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// oneByOne keeps a program that signs, and may ask for a PIN, from being started
// several times at once.
func oneByOne(pair *keys.Pair) *keys.Pair {
	alone := *pair
	alone.Signer = &queued{Signer: pair.Signer}
	return &alone
}

type queued struct {
	crypto.Signer
	mu sync.Mutex
}

// Sign implements crypto.Signer.
func (q *queued) Sign(random io.Reader, sum []byte, o crypto.SignerOpts) ([]byte, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.Signer.Sign(random, sum, o)
}
