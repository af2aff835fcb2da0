package boot

import "slices"

// abandoned says that the report was given out while a step hung. What wakes up
// after that changes nothing any more.
func (p *pass) abandoned() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left
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
