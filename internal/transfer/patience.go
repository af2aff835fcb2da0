package transfer

import (
	"cmp"
	"context"
	"time"
)

// Patience says how long a transfer is worth waiting for. The zero value asks
// for the default.
type Patience struct {
	Stall   time.Duration // without a single byte
	Tries   int           // in a row that bring almost nothing
	Backoff time.Duration // before the second try; doubles from there
}

// minProgress is what a try has to bring to count as one that worked, so that
// a server that sends a byte at a time does not hold us forever.
const minProgress = 1 << 20

// OrDefault replaces what is zero: a minute, six tries, half a second.
func (p Patience) OrDefault() Patience {
	return Patience{
		Stall:   cmp.Or(p.Stall, time.Minute),
		Tries:   cmp.Or(p.Tries, 6),
		Backoff: cmp.Or(p.Backoff, 500*time.Millisecond),
	}
}

// wait sleeps before try n, counted from 1: 0.5, 1, 2, 4, 8 seconds by default,
// or as long as the server asked for if that is longer.
func (p Patience) wait(ctx context.Context, n int, asked time.Duration) error {
	timer := time.NewTimer(max(p.Backoff<<min(n-1, 5), asked))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
