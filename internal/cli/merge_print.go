package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/layer"
)

// mergeReport is the JSON of merge and refresh.
type mergeReport struct {
	Kind      string     `json:"kind"`
	Engine    string     `json:"engine"`
	DryRun    bool       `json:"dryRun"`
	Unchanged bool       `json:"unchanged"`
	Policy    string     `json:"policy"`
	Because   string     `json:"because"`
	Mutable   layer.Mode `json:"mutable"`
	// Hierarchies are merged now, or would be.
	Hierarchies []hierarchyReport `json:"hierarchies"`
	Unmerged    []string          `json:"unmerged"`
	Extensions  []layer.Extension `json:"extensions"`
	Warnings    []layer.Warning   `json:"warnings,omitempty"`
	// Of a dry run: what two bring, and with --files what would look otherwise, and
	// what of the host would not be seen any more.
	Conflicts []layer.Conflict `json:"conflicts,omitempty"`
	Changes   []layer.Change   `json:"changes,omitempty"`
	Vanishing []string         `json:"vanishing,omitempty"`
}

// hierarchyReport is one folder that extensions are merged into.
type hierarchyReport struct {
	Hierarchy  string   `json:"hierarchy"`
	Extensions []string `json:"extensions"`
	// Since is nil in a dry run.
	Since *time.Time `json:"since,omitempty"`
	// ReadOnly are the paths that could be written to before.
	ReadOnly []string `json:"readOnly,omitempty"`
}

// unmergeReport is the JSON of unmerge.
type unmergeReport struct {
	Kind     string          `json:"kind"`
	Engine   string          `json:"engine"`
	DryRun   bool            `json:"dryRun"`
	Unmerged []string        `json:"unmerged"`
	Warnings []layer.Warning `json:"warnings,omitempty"`
}

// report says what became of a plan; result is nil if nothing was done.
func (l *layering) report(ctx context.Context, e layer.Engine, p *layer.Plan, result *layer.Result, root *os.Root) (*mergeReport, error) {
	r := &mergeReport{
		Kind: l.kind.Name, Engine: e.Name(), DryRun: result == nil, Policy: l.rule.Policy.String(), Because: l.rule.Because,
		Mutable: p.Request.Mutable, Hierarchies: []hierarchyReport{}, Unmerged: []string{},
	}
	made := layer.ReportOf(p, e.Name(), l.env.Now(), nil)
	readOnly := map[string][]string{}
	for _, h := range made.Hierarchies {
		readOnly[h.Path] = h.MadeReadOnly
	}
	merged, kept, err := l.merged(ctx, e, root)
	if err != nil {
		return nil, err
	}
	if result == nil {
		r.Extensions, r.Warnings = made.Extensions, made.Warnings
		for _, i := range p.Unsettled() {
			r.Warnings = append(r.Warnings, layer.Warning{Text: fmt.Sprintf("whether %q fits, and what it brings, is known only once it is mounted", i.Place)})
		}
		names := []string{}
		for _, i := range p.Merged() {
			names = append(names, i.Name)
		}
		for _, h := range made.Hierarchies {
			r.Hierarchies = append(r.Hierarchies, hierarchyReport{Hierarchy: h.Path, Extensions: names, ReadOnly: h.MadeReadOnly})
		}
		for _, h := range merged {
			if !slices.ContainsFunc(r.Hierarchies, func(then hierarchyReport) bool { return then.Hierarchy == h.Path }) {
				r.Unmerged = append(r.Unmerged, h.Path)
			}
		}
		return r, nil
	}
	if kept != nil {
		made = kept
	}
	r.Extensions, r.Warnings, r.Unchanged = made.Extensions, result.Warnings, result.Unchanged
	r.Unmerged = append(r.Unmerged, result.Unmerged...)
	for _, h := range result.Merged {
		names := append([]string{}, h.Extensions...)
		since := h.Since
		r.Hierarchies = append(r.Hierarchies, hierarchyReport{h.Path, names, &since, readOnly[h.Path]})
	}
	return r, nil
}

// verdict is the error that a merge ends with if nothing is merged and something
// was not to be trusted, or could not be read.
func (r *mergeReport) verdict(k extension.Kind) error {
	refused, unreadable := 0, 0
	for _, x := range r.Extensions {
		switch x.State {
		case layer.Merge:
			return nil
		case layer.Refused:
			refused++
		case layer.Unreadable:
			unreadable++
		default:
		}
	}
	advice := "inlay " + k.Name + " status says more of each"
	switch {
	case refused > 0:
		err := fmt.Errorf("nothing is merged: %s refused", count(refused, "extension"))
		return &exitError{hint.Wrap(err, advice), exitRefused}
	case unreadable > 0:
		return hint.Wrap(fmt.Errorf("nothing is merged: %s could not be read", count(unreadable, "extension")), advice)
	}
	return nil
}

func (env *Env) printMerge(k extension.Kind, r *mergeReport) {
	would := ""
	if r.DryRun {
		would = "would be "
	}
	for _, h := range r.Hierarchies {
		what := would + "merged"
		if r.Unchanged {
			what = "merged already"
		}
		names := strings.Join(h.Extensions, ", ")
		if names == "" {
			names = "no extension"
		}
		fmt.Fprintf(env.Stdout, "%s: %s %s\n", printable(h.Hierarchy), printable(names), what)
	}
	for _, path := range r.Unmerged {
		fmt.Fprintf(env.Stdout, "%s: %sunmerged\n", printable(path), would)
	}
	for _, c := range r.Changes {
		fmt.Fprintf(env.Stdout, "%s: %s by %s\n", printable(c.Path), c.Change, printable(c.Extension))
	}
	for _, path := range r.Vanishing {
		fmt.Fprintf(env.Stdout, "%s: vanishes\n", printable(path))
	}
	env.printConflicts(r.Conflicts)
	if len(r.Extensions) == 0 {
		env.note([]string{fmt.Sprintf("there are no %ss in /%s or the other folders", k.Name, k.RunFolder)})
	}
}

// printConflicts says of each path that two bring whose is seen.
func (env *Env) printConflicts(conflicts []layer.Conflict) {
	for _, c := range conflicts {
		losers := make([]string, 0, len(c.Losers))
		for _, l := range c.Losers {
			losers = append(losers, brings(l))
		}
		same := ""
		if c.Same {
			same = ", with the same content"
		}
		fmt.Fprintf(env.Stdout, "%s: of %s, hides that of %s (%s%s)\n", printable(c.Path), printable(brings(c.Winner)),
			printable(strings.Join(losers, " and ")), c.Kind, same)
	}
}

// brings names who brings a path.
func brings(name string) string {
	if name == layer.Host {
		return "the host"
	}
	return name
}

// before has a plan's warnings said before it is carried out: what could be written
// to and then cannot, say. said is what they are.
func (env *Env) before(do verb, said *[]layer.Warning) verb {
	return func(ctx context.Context, e layer.Engine, p *layer.Plan) (*layer.Result, error) {
		*said = slices.Clone(p.Warnings)
		env.warnOf(*said)
		return do(ctx, e, p)
	}
}

// warnMerge says what there is to be warned of and wasn't said before, and of each
// extension that is left out why.
func (env *Env) warnMerge(r *mergeReport, said []layer.Warning) {
	env.warnOf(slices.DeleteFunc(slices.Clone(r.Warnings), func(w layer.Warning) bool {
		return slices.ContainsFunc(said, func(s layer.Warning) bool { return s.Text == w.Text })
	}))
	for _, x := range r.Extensions {
		if x.State == layer.Merge && x.Reason == "" || x.State == layer.Masked {
			continue
		}
		text := fmt.Sprintf("%s is %s: %s", x.Path, x.State, x.Reason)
		if x.State == layer.Merge {
			text = x.Path + ": " + x.Reason
		}
		if len(x.Hints) > 0 {
			text += " (" + strings.Join(x.Hints, "; ") + ")"
		}
		env.warn([]string{text})
	}
}

func (env *Env) warnOf(warnings []layer.Warning) {
	for _, w := range warnings {
		text := w.Text
		if len(w.Hints) > 0 {
			text += " (" + strings.Join(w.Hints, "; ") + ")"
		}
		env.warn([]string{text})
	}
}
