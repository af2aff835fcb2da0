package node

import (
	"context"
	"slices"
	"strings"

	"inlay/internal/store"
	"inlay/internal/verify"
)

// Stage is one stage of an extension's way from the store to the merged tree.
type Stage struct {
	Stage string `json:"stage"` // "stored", "trusted", "compatible", "enabled", "linked", "merged"
	Done  bool   `json:"done"`
	Found string `json:"found"`
	// Command mends it; "" if nothing needs mending, or no command can.
	Command string `json:"command,omitempty"`
}

// Explanation walks one extension from the store to the merged tree.
type Explanation struct {
	Entry
	Stages []Stage `json:"stages"`
	// Stopped is the first stage that is not done; "" if it is merged.
	Stopped  string          `json:"stopped,omitempty"`
	Verified *verify.Verdict `json:"verified,omitempty"`
}

// Explain says of one extension what stops it, and what mends that.
func (n *Node) Explain(ctx context.Context, pattern string) (*Explanation, error) {
	images, err := n.find([]string{pattern}, false)
	if err != nil {
		return nil, err
	}
	im := images[0]
	seen, err := n.Merger.Seen(ctx, n.Kind)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Entry: n.entry(im, seen[im.Name])}
	if e.Verified, err = n.verdict(ctx, im, &e.Entry); err != nil {
		return nil, err
	}
	e.Stages = n.steps(im, e.Entry, seen[im.Name])
	if stop := firstStop(e.Stages); stop != nil {
		e.Stopped = stop.Stage
		e.stopped(stop)
	} else if e.Why == "" {
		e.Why = seen[im.Name].Why
	}
	return e, nil
}

// steps are the stages of an extension whose entry is complete.
func (n *Node) steps(im store.Image, e Entry, seen Seen) []Stage {
	profile := "common"
	if n.State != nil && n.State.Profile != "" {
		profile = n.State.Profile
	}
	stages := []Stage{
		{Stage: "stored", Done: !im.Missing, Found: "/" + strings.TrimPrefix(im.Path, "/")},
		{Stage: "trusted", Found: e.Guard()},
		{Stage: "compatible", Found: "this host takes it"},
		{Stage: "enabled", Done: n.used(im), Found: "for " + words(im.Profiles)},
		{Stage: "linked", Done: im.Linked, Found: "in /" + n.Kind.RunFolder},
		{Stage: "merged", Done: e.Merged, Found: "now"},
	}
	if _, err := n.host(); err != nil {
		stages[2].Found = "not known: " + err.Error()
	}
	switch verify.Result(e.Verdict) {
	case verify.Good:
		stages[1].Done, stages[2].Done = true, true
	case verify.Incompatible:
		stages[1].Done, stages[2].Found = true, e.Why
	default:
		stages[1].Found, stages[1].Command = e.Why, n.outOfTheWay(im, e, profile)
		stages[2].Found = "not looked at"
	}
	if im.Missing {
		stages[0].Found, stages[0].Command = e.Why, n.command("remove", im.Name)
		stages[1].Found, stages[1].Command = "not looked at", ""
	}
	if !stages[3].Done {
		stages[3].Command = n.command("enable", im.Name, "--"+profile, "--now")
		switch {
		case len(im.Profiles) == 0:
			stages[3].Found = "for no profile"
		case profile == string(store.Common):
			stages[3].Found += ", and what was booted has no profile"
		default:
			stages[3].Found += ", and not for " + profile + ", which is booted"
		}
	}
	if !stages[4].Done {
		stages[4].Found, stages[4].Command = "not before the next boot", n.command("enable", im.Name, "--"+profile, "--now")
	}
	if !stages[5].Done {
		stages[5].Found, stages[5].Command = "the last merge was before it was linked, or left it out", n.command("enable", im.Name, "--"+profile, "--now")
		if other := n.stranger(seen); other != "" {
			stages[5].Found, stages[5].Command = "another extension of this name is merged: "+other, ""
		} else if seen.Why != "" {
			stages[5].Found = "the last merge left it out: " + seen.Why
		}
	}
	return stages
}

// firstStop is the first stage that is not done; nil if all are.
func firstStop(stages []Stage) *Stage {
	if i := slices.IndexFunc(stages, func(s Stage) bool { return !s.Done }); i >= 0 {
		return &stages[i]
	}
	return nil
}

// stopped notes what stops an extension, and what mends that.
func (e *Entry) stopped(by *Stage) {
	e.Command = by.Command
	if e.Why == "" {
		e.Why = "not " + by.Stage + ": " + by.Found
	}
}

func words(profiles []store.Profile) string {
	var all []string
	for _, p := range profiles {
		all = append(all, string(p))
	}
	return strings.Join(all, ", ")
}

// Guard says in a few words what keeps the content from being changed, and who
// vouches for it.
func (e Entry) Guard() string {
	switch {
	case e.Verdict == string(verify.Refused):
		return "refused"
	case e.Signer != "" && e.Anchor != "":
		return "signed by " + e.Signer
	case e.Signer != "":
		return "signed by " + e.Signer + ", whom nobody here knows"
	case e.Protection == "":
		return "not known"
	}
	return "not signed"
}
