package cli

import (
	"context"
	"errors"
	"os"
	"path"
	"slices"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/layer"
	"inlay/internal/node"
)

// statusReport is the JSON of status: what the node knows, and what lies in
// systemd's folders.
type statusReport struct {
	*node.Status
	// Boot is what the boot step did, nil if it has not run in this boot.
	Boot *bootSeen `json:"boot,omitempty"`
	sight
}

// sight is what there is to be seen of merging.
type sight struct {
	// Engine would merge; MergedBy is the one that has, "" if that isn't known.
	Engine   string `json:"engine"`
	MergedBy string `json:"mergedBy,omitempty"`
	// Hierarchies are merged now.
	Hierarchies []hierarchyReport `json:"hierarchies"`
	// Found is all that lies in systemd's folders.
	Found     []foundReport    `json:"found"`
	Conflicts []layer.Conflict `json:"conflicts,omitempty"`
	Warnings  []layer.Warning  `json:"warnings,omitempty"`
}

// foundReport is something in systemd's folders: State is what a refresh would make
// of it, Merged whether it is merged now.
type foundReport struct {
	layer.Extension
	Merged bool `json:"merged"`
}

func newStatus(env *Env, k extension.Kind) *cobra.Command {
	o := nodeOptions{}
	var conflicts bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Say of each extension whether it is merged, and if not, why",
		Long: lines(
			"Say of each extension, of the store and of systemd's folders, whether it is merged and, if",
			"not, why: with a verdict on each, by the top of its hash tree; and what keeps what is",
			"merged from being changed (verity, checked copy, or unprotected).",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage.",
		),
		Example: lines(
			examples("everything, for a program", "inlay "+k.Name+" status --json"),
			examples("which files two of them bring, and whose is seen", "inlay "+k.Name+" status --conflicts"),
		),
		Args: arguments(),
	}
	o.flags(c, false)
	c.Flags().BoolVar(&conflicts, "conflicts", false, "name each path that two extensions, or one and the host, both bring")
	c.RunE = func(c *cobra.Command, _ []string) error {
		n, l, end, err := o.openBoth(env, k, c)
		if err != nil {
			return err
		}
		defer end()
		status, err := n.Status(c.Context())
		if err != nil {
			return err
		}
		seen, err := l.look(c.Context(), conflicts)
		if err != nil {
			return err
		}
		seen.explain(status.Extensions, k)
		booted, err := l.system.bootOf(k)
		if err != nil {
			seen.Warnings = append(seen.Warnings, layer.Warning{Text: err.Error(), Hints: hint.Of(err)})
		}
		booted.explain(status.Extensions)
		if l.system.running() {
			devices := layer.MappedRoots()
			seen.mapped(devices)
			booted.checked(devices)
		}
		report := statusReport{status, booted, *seen}
		if o.json.on() {
			return env.printAs(o.json, report)
		}
		env.printStatus(c, k, report)
		return nil
	}
	return c
}

// look tells what is merged, and what a refresh would do. That the second can't be
// told, to a user who may not read what is needed, is a warning.
func (l *layering) look(ctx context.Context, conflicts bool) (*sight, error) {
	s := &sight{Hierarchies: []hierarchyReport{}, Found: []foundReport{}}
	err := l.homeOrHere(func(root *os.Root) error {
		native, err := l.native(root)
		if err != nil {
			return err
		}
		merged, kept, err := l.merged(ctx, native, root)
		if err = errors.Join(err, native.Close()); err != nil {
			return err
		}
		s.add(merged, kept)
		err = l.foresee(ctx, s, root, conflicts)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, refused := errors.AsType[*layer.RefusedError](err); refused {
			s.Warnings, err = append(s.Warnings, layer.Warning{Text: "a refresh would be refused: " + err.Error(), Hints: hint.Of(err)}), nil
		}
		if err != nil {
			s.Warnings = append(s.Warnings, layer.Warning{Text: "what a refresh would do cannot be told: " + err.Error(), Hints: hint.Of(err)})
		}
		if s.Found = s.found(merged, kept); err == nil || kept == nil {
			return nil
		}
		for _, x := range kept.Extensions {
			s.Found = append(s.Found, foundReport{x, x.State == layer.Merge && contains(merged, x.Name)})
		}
		return nil
	})
	return s, err
}

// add is what is merged now.
func (s *sight) add(merged []layer.Hierarchy, kept *layer.Report) {
	if kept != nil && len(merged) > 0 {
		s.MergedBy = kept.Engine
	}
	for _, h := range merged {
		since := h.Since
		r := hierarchyReport{Hierarchy: h.Path, Extensions: append([]string{}, h.Extensions...), Since: &since}
		if kept != nil {
			for _, was := range kept.Hierarchies {
				if was.Path == h.Path {
					r.ReadOnly = was.MadeReadOnly
				}
			}
		}
		s.Hierarchies = append(s.Hierarchies, r)
	}
}

// foresee is what a refresh would do.
func (l *layering) foresee(ctx context.Context, s *sight, root *os.Root, conflicts bool) (err error) {
	e, err := l.choose(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	s.Engine = e.Name()
	if err := l.mayLook(ctx, e); err != nil {
		return err
	}
	r := l.request
	r.Root, r.Look = root, true
	if err := e.Prepare(ctx, &r); err != nil {
		return err
	}
	// The top of the images is enough to look at.
	r.Seal, r.Mapper = nil, true
	p, err := layer.MakePlan(ctx, r)
	if p == nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	made := layer.ReportOf(p, e.Name(), l.env.Now(), nil)
	for _, x := range made.Extensions {
		s.Found = append(s.Found, foundReport{Extension: x})
	}
	s.Warnings = append(s.Warnings, made.Warnings...)
	if conflicts && err == nil {
		s.Conflicts, err = p.Conflicts(ctx)
	}
	return err
}

// found completes what a refresh would do with what the last one did.
func (s *sight) found(merged []layer.Hierarchy, kept *layer.Report) []foundReport {
	for n := range s.Found {
		x := &s.Found[n]
		winner := x.State != layer.Shadowed && x.State != layer.Skipped
		x.Merged = winner && contains(merged, x.Name)
		if kept == nil || !winner {
			continue
		}
		for _, was := range kept.Extensions {
			if was.Path != x.Path {
				continue
			}
			if x.Merged {
				x.Guarantee, x.Mapping, x.KernelVerified, x.Corrupt = was.Guarantee, was.Mapping, was.KernelVerified, was.Corrupt
			}
			// The last merge has read more of it than a look does.
			if x.Reason == "" && was.Reason != "" && x.RootHash == was.RootHash && (was.State == layer.Merge) == x.Merged {
				x.Reason, x.Hints = was.Reason, was.Hints
				if !x.Merged {
					x.State = was.State
				}
			}
		}
	}
	return s.Found
}

// explain replaces what a node can only guess by what is known of each extension.
func (s *sight) explain(entries []node.Entry, k extension.Kind) {
	for n := range entries {
		e := &entries[n]
		if !e.Linked || e.Merged {
			continue
		}
		for _, x := range s.Found {
			if x.State == layer.Skipped || !isLinkOf(x.Extension, *e, k) {
				continue
			}
			if e.Why = x.Reason; x.State == layer.Merge {
				e.Why = notYet
			}
			if x.State != layer.Shadowed {
				break
			}
		}
	}
}

// isLinkOf says whether something in systemd's folders is the link to an image of the
// store.
func isLinkOf(x layer.Extension, e node.Entry, k extension.Kind) bool {
	return x.Name == e.Name && path.Dir(x.Path) == "/"+k.RunFolder && path.Ext(x.Path) == ".raw"
}

// notYet is why something isn't merged that nothing keeps from it.
const notYet = "not merged yet: a refresh does so"

func contains(merged []layer.Hierarchy, name string) bool {
	return slices.ContainsFunc(merged, func(h layer.Hierarchy) bool { return slices.Contains(h.Extensions, name) })
}
