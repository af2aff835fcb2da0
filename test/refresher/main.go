// Command refresher runs internal/layer where tests have a systemd: in a
// container, whose systemd is PID 1, or in a root that only has its tools.
//
//	refresher ROOT KIND refresh        merges anew, silently
//	refresher ROOT KIND refresh-aside  the same, with signatures set aside
//	refresher ROOT KIND merged         prints what is merged, a hierarchy on a line
//	refresher ROOT KIND systemd        has systemd's engine plan and refresh under the
//	                                   policy of POLICY (any), and prints what became of
//	                                   everything; with CONFIG_SEARCH=1, of what lies
//	                                   in the old folders, too; CONFIG_MUTABLE is the mode
//	                                   and CONFIG_HIERARCHIES a hierarchy
//	refresher ROOT KIND systemd-merge  the same, but only where nothing is merged
//	refresher ROOT KIND native         the same with the native engine
//
// An error is printed with its hints on standard output, and the exit status is 1.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/layer"
	"inlay/internal/trust"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Println("error:", err)
		for _, advice := range hint.Of(err) {
			fmt.Println("hint:", advice)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if len(args) != 3 {
		return fmt.Errorf("want ROOT KIND VERB, not %q", args)
	}
	root, err := os.OpenRoot(args[0])
	if err != nil {
		return err
	}
	defer root.Close()
	k, err := extension.KindNamed(args[1])
	if err != nil {
		return err
	}
	switch args[2] {
	case layer.EngineSystemd, layer.EngineNative:
		return engines(ctx, root, k, args[2], layer.Refresh)
	case layer.EngineSystemd + "-merge":
		return engines(ctx, root, k, layer.EngineSystemd, layer.MergeAnew)
	}
	engine := layer.New(root, layer.Options{})
	if args[2] != "merged" {
		return engine.Refresh(ctx, k, layer.RefreshOptions{SetAsideSignatures: args[2] == "refresh-aside"})
	}
	merged, err := engine.Merged(ctx, k)
	for _, h := range merged {
		age := time.Since(h.Since)
		if age < -time.Second || age > time.Minute {
			return fmt.Errorf("%s was merged %s ago", h.Path, age)
		}
		fmt.Println(h.Path, strings.Join(h.Extensions, " "))
	}
	return err
}

// merging is Refresh or MergeAnew.
type merging func(context.Context, layer.Engine, layer.Request, layer.RunOptions) (*layer.Plan, *layer.Result, error)

// engines plans and merges by an engine.
func engines(ctx context.Context, root *os.Root, k extension.Kind, name string, merge merging) error {
	engine, err := layer.Choose(ctx, root, k, layer.EngineOptions{Name: name})
	if err != nil {
		return err
	}
	word := os.Getenv("POLICY")
	if word == "" {
		word = "any"
	}
	policy, err := trust.ParsePolicy(word)
	if err != nil {
		return err
	}
	request := layer.Request{
		Root: root, Kind: k, Policy: policy, Old: os.Getenv("CONFIG_SEARCH") != "", Mutable: layer.Mode(os.Getenv("CONFIG_MUTABLE")),
	}
	if h := os.Getenv("CONFIG_HIERARCHIES"); h != "" {
		request.Hierarchies = []string{h}
	}
	p, r, err := merge(ctx, engine, request, layer.RunOptions{})
	if p != nil {
		for _, i := range p.Items {
			fmt.Println(strings.TrimSpace(fmt.Sprintf("%s %s %s", i.State, i.Place, i.Reason)))
		}
	}
	if r != nil {
		for _, w := range r.Warnings {
			fmt.Println("warning:", w.Text)
		}
		for _, h := range r.Merged {
			fmt.Println(h.Path, strings.Join(h.Extensions, " "))
		}
	}
	return err
}
