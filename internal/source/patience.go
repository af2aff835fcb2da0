package source

import (
	"cmp"
	"context"
	"time"
)

// patience says how long a download is worth waiting for.
type patience struct {
	stall   time.Duration // without a single byte
	tries   int           // in a row that bring almost nothing
	backoff time.Duration // before the second try; doubles from there
}

// minProgress is what a try has to bring to count as one that worked, so that
// a server that sends a byte at a time does not hold us forever.
const minProgress = 1 << 20

func (p patience) orDefault() patience {
	return patience{
		stall:   cmp.Or(p.stall, time.Minute),
		tries:   cmp.Or(p.tries, 6),
		backoff: cmp.Or(p.backoff, 500*time.Millisecond),
	}
}

// wait sleeps before try n, counted from 1: 0.5, 1, 2, 4, 8 seconds by default.
func (p patience) wait(ctx context.Context, n int) error {
	timer := time.NewTimer(p.backoff << min(n-1, 5))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
