package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/layer"
	"inlay/internal/node"
	"inlay/internal/store"
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
			fmt.Sprintf("Merge what lies in /%s and the other folders of systemd into the", k.RunFolder),
			"running system, with systemd or without it.",
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
		newMerge(env, k), newRefresh(env, k), newUnmerge(env, k),
	)
	return c
}

// nodeOptions are the flags that every command about a node has.
type nodeOptions struct {
	root string
	wait time.Duration
	json jsonMode
}

func (o *nodeOptions) flags(c *cobra.Command, changes bool) {
	f := c.Flags()
	f.StringVar(&o.root, "root", "/", "the machine is the one below `DIR`")
	o.json.flag(c)
	if changes {
		f.DurationVar(&o.wait, "wait", 0, "wait so `long` for another command that changes extensions, such as 30s")
	}
}

// open opens the node with everything that judging its images needs.
func (o *nodeOptions) open(env *Env, k extension.Kind, c *cobra.Command) (n *node.Node, end func(), err error) {
	n, _, end, err = o.openBoth(env, k, c)
	return n, end, err
}

// openBoth opens the node, and what merges for it.
func (o *nodeOptions) openBoth(env *Env, k extension.Kind, c *cobra.Command) (n *node.Node, l *layering, end func(), err error) {
	s, err := openSystem(o.root)
	if err != nil {
		return nil, nil, nil, err
	}
	l = newLayering(env, s, k)
	options := s.node(env, k)
	options.Wait, options.Merger = o.wait, merger{l}
	options.Command, options.Program = c.CommandPath(), c.Root().Name()
	n, err = node.Open(options)
	if err != nil {
		s.close()
		return nil, nil, nil, err
	}
	return n, l, func() { _ = n.Close(); s.close() }, nil
}

// nodeError gives an error of a node its exit code and the advice that it lacks.
func nodeError(c *cobra.Command, k extension.Kind, err error) error {
	if _, ok := errors.AsType[*node.RefusedError](err); ok {
		return &exitError{err, exitRefused}
	}
	if e, ok := errors.AsType[*store.AmbiguousError](err); ok {
		return notFound(hint.Default(err, "name one of "+strings.Join(e.Names, ", ")))
	}
	if _, ok := errors.AsType[*store.BusyError](err); ok {
		return &exitError{hint.Default(err, "try again later, or pass --wait 1m"), exitBusy}
	}
	if _, ok := errors.AsType[*layer.RefusedError](err); ok || errors.Is(err, layer.ErrBusy) || errors.Is(err, layer.ErrDiffers) {
		return layerError(k, err)
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
