package layer

import (
	"fmt"
	"slices"
	"strings"
)

// shows says whether an item that is merged brings anything for what is merged into,
// as far as that is known.
func (p *Plan) shows(i *Item) bool {
	return len(p.Unsettled()) > 0 || slices.ContainsFunc(p.Stacks, func(s Stack) bool {
		return !s.Idle && slices.ContainsFunc(s.Layers, func(l Layer) bool { return l.Item == i })
	})
}

// unseen says why nothing of an item is to be seen.
func (p *Plan) unseen() (reason string, hints []string) {
	var paths []string
	for _, s := range p.Stacks {
		paths = append(paths, s.Path)
	}
	return fmt.Sprintf("it has nothing in %s, which is all that is merged into", strings.Join(paths, ", ")),
		[]string{"build it with files there, or name more folders in hierarchies"}
}
