package boot

import (
	"fmt"
	"slices"
)

// abandoned says that the report was given out while a step hung. What wakes up
// after that changes nothing any more.
func (p *pass) abandoned() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left
}

// crashed notes that a step ended in a fault of this program. Those after it are not
// taken: nothing is handed over that was not seen to.
func (p *pass) crashed() {
	crash := recover()
	if crash == nil {
		return
	}
	s := Step{Step: p.at, Text: fmt.Sprintf("a fault of this program, which is worth a report: %v", crash), Bad: true, Duration: p.Now().Sub(p.begun).Milliseconds()}
	p.note(func(r *Report) { r.Steps = append(r.Steps, s) })
	p.say(s.line())
}

// abandon gives out the report while a step hangs, as when a disk answers no more.
func (p *pass) abandon() *Report {
	p.mu.Lock()
	p.left = true
	r := *p.report
	r.Steps = append(slices.Clone(r.Steps), Step{
		Step: p.at, Text: "it hangs, and is left behind: " + errOutOfTime.Error(), Bad: true,
		Duration: p.Now().Sub(p.begun).Milliseconds(),
	})
	p.mu.Unlock()
	if p.Line != nil {
		p.Line(r.Steps[len(r.Steps)-1].line())
	}
	return p.finish(&r)
}

// close gives back what the pass has opened.
func (p *pass) close() {
	for _, at := range p.places {
		if at.store != nil {
			_ = at.store.Close() // it was only read
		}
		if at.folder != nil && at.folder != p.Target && at.folder != p.System {
			_ = at.folder.Close() // it was only read; several places may share it
		}
	}
}
