package cli

import (
	"fmt"
	"strings"

	"inlay/internal/build"
)

// printBuild prints a result for a person: what was made on standard output,
// what to know of it on standard error.
func (env *Env) printBuild(r *build.Result) {
	origin := r.Source.Origin
	if r.Source.LayersOf > 1 {
		origin += fmt.Sprintf(", %s of %d", r.Source.LayersText(), r.Source.LayersOf)
	}
	signature := r.Signature
	if r.Signer != nil {
		signature = "signed by " + r.Signer.Subject
	}
	contents := []string{count(r.Counts.Files, "file"), count(r.Counts.Folders, "folder")}
	if r.Counts.Symlinks > 0 {
		contents = append(contents, count(r.Counts.Symlinks, "symlink"))
	}
	env.printFacts([]fact{
		{"image", r.Path},
		{"size", size(r.Size)},
		{"compression", strings.TrimSuffix(r.Compression+", "+r.Encoder, ", ")},
		{"needs", linux(r.Kernel)},
		{"source", origin},
		{"contents", strings.Join(contents, ", ") + ", " + size(r.Counts.Bytes)},
		{"release", strings.Join(r.Release, " ")},
		{"root hash", r.RootHash},
		{"signature", signature},
		{"unchanged", map[bool]string{true: "the image was there already"}[r.Unchanged]},
	})
	if r.LeftOut.Count > 0 {
		more := ""
		if r.LeftOut.Count > len(r.LeftOut.Names) {
			more = ", …"
		}
		fmt.Fprintf(env.Stderr, "note: %s outside the extension's folders left out: %s%s\n",
			count(r.LeftOut.Count, "file"), printable(strings.Join(r.LeftOut.Names, ", ")), more)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(env.Stderr, "note: %s\n", printable(n))
	}
	env.warn(r.Warnings)
	if r.Signature == "deferred" {
		fmt.Fprintf(env.Stderr, "note: sign the root hash, as that text without a newline, then: inlay sign %s --signature FILE --certificate FILE\n", printable(r.Path))
	}
}

// linux says which kernel an image takes, and why; "" if that isn't known.
func linux(k *build.Kernel) string {
	if k == nil {
		return ""
	}
	text := "Linux " + k.Version
	if len(k.Because) > 0 {
		text += " (" + strings.Join(k.Because, ", ") + ")"
	}
	return text
}
