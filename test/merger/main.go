// Command merger runs the engines of internal/layer where tests have a
// device-mapper, in the virtual machines.
//
//	merger merge|refresh   merges what lies in the extension folders
//	merger again           refreshes, also if nothing has changed
//	merger swap FROM TO    merges, and renames FROM to TO once all is judged
//	merger forever         again, until it is killed
//	merger unmerge
//	merger report NAME     what the report says of an extension by now
//
// ENGINE names the engine ("native" if it is not set). Signatures are judged by the
// certificates in the folders of verity.d, and that in the file OWN, of which systemd
// knows nothing, under the policy in POLICY ("signed" if it is not set). Answers are words of the form
// KEY=VALUE on one line; an error is one, error=, with underscores for blanks.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/trust"
)

func main() {
	answer, err := run(context.Background(), append(os.Args[1:], "", ""))
	if err != nil {
		answer += " error=" + strings.ReplaceAll(err.Error(), " ", "_")
	}
	fmt.Println(strings.TrimSpace(answer))
}

func run(ctx context.Context, args []string) (string, error) {
	root, err := os.OpenRoot("/")
	if err != nil {
		return "", err
	}
	defer root.Close()
	n, err := layer.Choose(ctx, root, extension.Sysext(), layer.EngineOptions{Name: word(os.Getenv("ENGINE"), layer.EngineNative)})
	if err != nil {
		return "", err
	}
	defer n.Close()
	switch args[0] {
	case "merge", "refresh", "again", "swap":
		return merge(ctx, n, root, args)
	case "forever":
		for {
			if answer, err := merge(ctx, n, root, []string{"again"}); err != nil {
				return answer, err
			}
		}
	case "unmerge":
		r, err := n.Unmerge(ctx, extension.Sysext(), layer.RunOptions{})
		if err != nil {
			return "", err
		}
		return "unmerged=" + strings.Join(r.Unmerged, ","), nil
	case "report":
		return report(root, args[1])
	default:
		return "", fmt.Errorf("unknown word %q", args[0])
	}
}

func merge(ctx context.Context, n layer.Engine, root *os.Root, args []string) (string, error) {
	policy, err := trust.ParsePolicy(word(os.Getenv("POLICY"), "signed"))
	if err != nil {
		return "", err
	}
	o := trust.Options{Root: root, Folders: trust.DefaultFolders()}
	if own := os.Getenv("OWN"); own != "" {
		text, err := os.ReadFile(own)
		if err != nil {
			return "", err
		}
		o.Given = []trust.Given{{Origin: own, PEM: text}}
	}
	anchors, err := trust.Load(o)
	if err != nil {
		return "", err
	}
	r := layer.Request{Root: root, Kind: extension.Sysext(), Policy: policy, Anchors: anchors}
	if err := n.Prepare(ctx, &r); err != nil {
		return "", err
	}
	p, err := layer.MakePlan(ctx, r)
	if err != nil {
		return "", err
	}
	defer p.Close()
	do := n.Refresh
	switch args[0] {
	case "merge":
		do = n.Merge
	case "swap":
		if err := os.Rename(args[1], args[2]); err != nil {
			return "", err
		}
	}
	result, err := do(ctx, p, layer.RunOptions{Always: args[0] == "again"})
	if err != nil {
		return "", err
	}
	var hierarchies []string
	for _, h := range result.Merged {
		hierarchies = append(hierarchies, h.Path)
	}
	var warnings []string
	for _, w := range result.Warnings {
		warnings = append(warnings, strings.ReplaceAll(w.Text, " ", "_"))
	}
	return fmt.Sprintf("merged=%s unchanged=%t warnings=%s", strings.Join(hierarchies, ","), result.Unchanged, strings.Join(warnings, ";")), nil
}

func report(root *os.Root, name string) (string, error) {
	r, err := layer.ReadReport(root, extension.Sysext())
	if err != nil || r == nil {
		return "report=none", err
	}
	r.Inspect()
	for _, e := range r.Extensions {
		if e.Name == name {
			return fmt.Sprintf("state=%s protection=%s guarantee=%s kernel=%t corrupt=%t reason=%s", e.State, e.Protection, word(string(e.Guarantee), "none"),
				e.KernelVerified, e.Corrupt, word(strings.ReplaceAll(e.Reason, " ", "_"), "none")), nil
		}
	}
	return "", fmt.Errorf("the report says nothing of %q", name)
}

func word(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
