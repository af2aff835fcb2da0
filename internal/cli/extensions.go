package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"inlay/internal/bootstate"
	"inlay/internal/config"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/layer"
	"inlay/internal/node"
	"inlay/internal/store"
	"inlay/internal/trust"
)

// newExtensions is "inlay sysext" or "inlay confext": a node's extensions of one
// kind.
func newExtensions(env *Env, k extension.Kind) *cobra.Command {
	c := &cobra.Command{
		Use:   k.Name,
		Short: fmt.Sprintf("Manage the %ss of this machine", k.Name),
		Long: lines(
			fmt.Sprintf("Download, enable, disable, remove and list the %ss of a machine. Images lie in", k.Name),
			fmt.Sprintf("/%s, and for each boot profile (active, passive, recovery, or", k.Store),
			"common for all) a folder there holds links to those that it uses.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused by trust policy, 4 not found",
			"or ambiguous, 6 busy, 130 interrupted.",
		),
		Example: examples("from a web server into the running system",
			"inlay "+k.Name+" download https://example.org/extensions/k3s"+k.Suffix,
			"inlay "+k.Name+" enable --active --now k3s",
			"inlay "+k.Name+" status"),
	}
	group(c)
	c.AddCommand(
		newDownload(env, k), newEnable(env, k), newDisable(env, k), newRemove(env, k),
		newList(env, k), newStatus(env, k), newExplain(env, k), newInfo(env, k),
	)
	return c
}

// nodeOptions are the flags that every command about a node has.
type nodeOptions struct {
	root string
	wait time.Duration
	json bool
}

func (o *nodeOptions) flags(c *cobra.Command, changes bool) {
	f := c.Flags()
	f.StringVar(&o.root, "root", "/", "the machine is the one below `DIR`")
	f.BoolVar(&o.json, "json", false, "print JSON")
	if changes {
		f.DurationVar(&o.wait, "wait", 0, "wait so `long` for another command that changes extensions, such as 30s")
	}
}

// open opens the node with everything that judging its images needs.
func (o *nodeOptions) open(env *Env, k extension.Kind, c *cobra.Command) (n *node.Node, end func(), err error) {
	root, err := openRoot(o.root)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = root.Close()
		}
	}()
	state, err := detect(root)
	if err != nil {
		return nil, nil, err
	}
	anchors, configured, err := o.trust(root, state)
	if err != nil {
		return nil, nil, err
	}
	n, err = node.Open(node.Options{
		Root: root, Kind: k, Anchors: anchors, Configured: configured, State: state,
		Architecture: extension.ArchitectureWord(env.Architecture), Now: env.Now, Wait: o.wait,
		Command: c.CommandPath(), Program: c.Root().Name(),
		Merger: merger{layer.New(root, layer.Options{Getenv: env.Getenv, Now: env.Now})},
	})
	if err != nil {
		return nil, nil, err
	}
	return n, func() { _ = n.Close(); _ = root.Close() }, nil
}

// trust is what the machine's configuration says, and its firmware if it was
// booted by that.
func (o *nodeOptions) trust(root *os.Root, state *bootstate.Report) (*trust.Set, *trust.Policy, error) {
	c, err := config.Load(root, config.Options{Default: true})
	if err != nil {
		return nil, nil, err
	}
	t, err := c.TrustOptions(root)
	if err != nil {
		return nil, nil, err
	}
	t.Firmware = t.Firmware || state.TrustedBoot
	set, err := trust.Load(t)
	return set, c.Policy, err
}

// openRoot opens the folder that a machine's files lie below.
func openRoot(name string) (*os.Root, error) {
	root, err := os.OpenRoot(name)
	if err == nil {
		return root, nil
	}
	if info, statErr := os.Stat(name); statErr == nil && !info.IsDir() {
		return nil, usagef("name the folder that a system lies in", "--root %q is no folder", name)
	}
	return nil, imageError(fmt.Errorf("opening the root: %w", err))
}

// merger is systemd's side of layer, as node wants it.
type merger struct{ systemd *layer.Systemd }

func (m merger) Refresh(ctx context.Context, k extension.Kind, setAside bool) error {
	return m.systemd.Refresh(ctx, k, layer.RefreshOptions{SetAsideSignatures: setAside})
}

func (m merger) Merged(ctx context.Context, k extension.Kind) ([]string, error) {
	hierarchies, err := m.systemd.Merged(ctx, k)
	var names []string
	for _, h := range hierarchies {
		for _, name := range h.Extensions {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, err
}

// nodeError gives an error of a node its exit code and the advice that it lacks.
func nodeError(c *cobra.Command, err error) error {
	if _, ok := errors.AsType[*node.RefusedError](err); ok {
		return &exitError{err, exitRefused}
	}
	if e, ok := errors.AsType[*store.AmbiguousError](err); ok {
		return notFound(hint.Default(err, "name one of "+strings.Join(e.Names, ", ")))
	}
	if _, ok := errors.AsType[*store.BusyError](err); ok {
		return &exitError{hint.Default(err, "try again later, or pass --wait 1m"), exitBusy}
	}
	if node.NotFound(err) {
		return notFound(hint.Default(err, c.Parent().CommandPath()+" list shows what is there"))
	}
	return err
}

// completeNames offers the names of what the store holds.
func completeNames(o *nodeOptions, k extension.Kind) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		root, err := os.OpenRoot(o.root)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer root.Close()
		s, err := store.Open(root, k, store.Options{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer func() { _ = s.Close() }()
		images, err := s.Images()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, im := range images {
			names = append(names, im.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
