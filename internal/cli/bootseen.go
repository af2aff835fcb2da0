package cli

import (
	"fmt"
	"slices"
	"time"

	"inlay/internal/boot"
	"inlay/internal/extension"
	"inlay/internal/node"
	"inlay/internal/store"
)

// bootSeen is what the boot step of this boot did about a kind, as far as status tells
// of it; inlay boot report tells all.
type bootSeen struct {
	Time time.Time `json:"time"`
	Hook string    `json:"hook,omitempty"`
	// Off is the word of the kernel's command line that switched it off, or "".
	Off        string           `json:"off,omitempty"`
	Extensions []boot.Extension `json:"extensions"`
	Problems   []string         `json:"problems,omitempty"`

	ids map[string]string // of the images now, by file name
}

// bootOf reads what the boot step did about a kind; nil if it has not run in this boot.
func (s *system) bootOf(k extension.Kind) (*bootSeen, error) {
	r, err := boot.ReadReport(s.host)
	if err != nil || r == nil || r.DryRun {
		return nil, err
	}
	b := &bootSeen{Time: r.Time, Hook: r.Hook, Off: r.Off, Extensions: []boot.Extension{}, Problems: r.Problems, ids: map[string]string{}}
	for _, x := range r.Extensions {
		if x.Kind == k.Name {
			b.Extensions = append(b.Extensions, x)
		}
	}
	st, err := store.Open(s.root, k, store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = st.Close() }() // it was only read
	images, err := st.Images()
	for _, im := range images {
		b.ids[im.FileName] = im.Trial().ID
	}
	return b, err
}

// about returns what the boot step made of an extension that it didn't link as it
// lies in the store now, "" if nothing: that one may have come since.
func (b *bootSeen) about(e node.Entry) string {
	if b == nil || e.Merged || e.Linked {
		return ""
	}
	i := slices.IndexFunc(b.Extensions, func(x boot.Extension) bool {
		instead := x.Trial != nil && x.Trial.Instead
		return x.FileName == e.FileName && x.Reason != "" && (instead || x.Result != boot.Linked && x.ID == b.ids[e.FileName])
	})
	if i < 0 {
		return ""
	}
	x := b.Extensions[i]
	return fmt.Sprintf("%s at boot: %s", x.Result, x.Reason)
}

// explain says of entries what the boot step said of them, where nothing that is so
// now says more.
func (b *bootSeen) explain(entries []node.Entry) {
	if b == nil {
		return
	}
	for n := range entries {
		if said := b.about(entries[n]); said != "" && entries[n].Verdict == "good" {
			entries[n].Why = said
		}
	}
}

// stages does so for the stages of one extension.
func (b *bootSeen) stages(e *node.Explanation) {
	said := b.about(e.Entry)
	if said == "" || e.Stopped != "linked" {
		return
	}
	for n := range e.Stages {
		if e.Stages[n].Stage == e.Stopped {
			e.Stages[n].Found = said
		}
	}
	e.Why = said
}

// fact is its line of status.
func (b *bootSeen) fact() fact {
	if b == nil {
		return fact{}
	}
	if b.Off != "" {
		return fact{"at boot", "switched off by " + b.Off}
	}
	linked := 0
	for _, x := range b.Extensions {
		if x.Result == boot.Linked {
			linked++
		}
	}
	text := fmt.Sprintf("%d linked", linked)
	if not := len(b.Extensions) - linked; not > 0 {
		text += fmt.Sprintf(", %d not: inlay boot report", not)
	}
	return fact{"at boot", text}
}
