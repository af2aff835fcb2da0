package build

import (
	"context"
	"sync"
	"sync/atomic"

	"inlay/internal/source"
)

// Job is one of several images to make.
type Job struct {
	From    source.Options
	Options Options
}

// Outcome is what became of a job: a result, or an error.
type Outcome struct {
	Result *Result
	Err    error
}

// All makes images, at most that many at a time, and returns what became of
// each, in the order of the jobs: one that fails stops no other. No two may have
// the same file for their output. Done, if not nil, hears of each as it ends, one
// call at a time.
func All(ctx context.Context, jobs []Job, atOnce int, done func(i int, o Outcome)) []Outcome {
	outcomes := make([]Outcome, len(jobs))
	var next atomic.Int64
	var busy sync.WaitGroup
	var telling sync.Mutex
	for range min(max(atOnce, 1), len(jobs)) {
		busy.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(jobs); i = int(next.Add(1)) - 1 {
				o := &outcomes[i]
				if o.Err = ctx.Err(); o.Err == nil {
					o.Result, o.Err = Make(ctx, jobs[i].From, jobs[i].Options)
				}
				if done != nil {
					telling.Lock()
					done(i, *o)
					telling.Unlock()
				}
			}
		})
	}
	busy.Wait()
	return outcomes
}
