package config

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"inlay/internal/hint"
)

// Layering says how extensions are merged into the running system.
type Layering struct {
	// Engine is "auto", "systemd" or "native"; "" if no file says anything.
	Engine string
	// Search is whether sysexts are looked for in /usr/local/lib/extensions and
	// /usr/lib/extensions, too; nil, if no file says anything, means true.
	Search *bool
	// Hierarchies are absolute paths, or the word "kairos", for both kinds; see For.
	Hierarchies []string
	// Mutable is a mode of mutability in systemd's words; "" if no file says anything.
	Mutable string
	// Matching is "exact" or "extended"; "" if no file says anything.
	Matching string
	// UnsafeContent lets extensions have files that steer an overlay; nil means false.
	UnsafeContent *bool
}

// engines, modes and matchings are the words that those keys take.
func engines() []string { return []string{"auto", "systemd", "native"} }

func modes() []string {
	return []string{"no", "auto", "yes", "import", "ephemeral", "ephemeral-import"}
}

func matchings() []string { return []string{"exact", "extended"} }

// Kairos is the word for the hierarchies that the documents of Kairos set.
const Kairos = "kairos"

// For returns the hierarchies of a kind whose own folders are mergeable: those at
// or below /etc are for confexts, the others for sysexts. None leaves it to the
// environment and to systemd's defaults.
func (l *Layering) For(mergeable []string) []string {
	settings := slices.Contains(mergeable, "etc")
	var list []string
	for _, h := range l.Hierarchies {
		if h == Kairos || (h == "/etc" || strings.HasPrefix(h, "/etc/")) == settings {
			list = append(list, h)
		}
	}
	return list
}

// merge puts later on top of l.
func (l *Layering) merge(later *Layering) {
	for _, word := range []struct{ to, from *string }{
		{&l.Engine, &later.Engine}, {&l.Mutable, &later.Mutable}, {&l.Matching, &later.Matching},
	} {
		if *word.from != "" {
			*word.to = *word.from
		}
	}
	if later.Hierarchies != nil {
		l.Hierarchies = later.Hierarchies
	}
	override(&l.Search, later.Search)
	override(&l.UnsafeContent, later.UnsafeContent)
}

// add puts the keys about merging into known.
func (l *Layering) add(d *document, known fields) {
	known["engine"] = d.word(&l.Engine, engines())
	known["search"] = d.truth(&l.Search)
	known["hierarchies"] = d.hierarchies(&l.Hierarchies)
	known["mutable"] = d.word(&l.Mutable, modes())
	known["matching"] = d.word(&l.Matching, matchings())
	known["unsafe_content"] = d.truth(&l.UnsafeContent)
}

// word takes one of some words.
func (d *document) word(to *string, words []string) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.text(n)
		if err != nil {
			return err
		}
		if !slices.Contains(words, text) {
			return d.at(n, hint.Wrap(fmt.Errorf("%q is none of the words that are taken here", text), "write one of "+strings.Join(words, ", ")))
		}
		*to = text
		return nil
	}
}

// hierarchies takes a list of folders to merge into, or one word for such a list.
func (d *document) hierarchies(to *[]string) func(ast.Node) error {
	return func(n ast.Node) error {
		if s, ok := n.(*ast.StringNode); ok && s.Value == Kairos {
			*to = []string{Kairos}
			return nil
		}
		var list []string
		if err := d.each(d.hierarchy(&list))(n); err != nil {
			return err
		}
		if len(list) == 0 {
			return d.at(n, hint.Wrap(errors.New("no hierarchy is named"), "name some, or remove the line"))
		}
		*to = list
		return nil
	}
}

func (d *document) hierarchy(to *[]string) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.text(n)
		if err != nil {
			return err
		}
		if text != Kairos {
			clean, err := cleanPath(text)
			if err == nil && (clean != text || path.Dir(text) == text) {
				err = fmt.Errorf("%q is no hierarchy", text)
			}
			if err != nil {
				return d.at(n, hint.Default(err, "name an absolute path without . or .. or a slash at the end, or the word kairos"))
			}
		}
		if slices.Contains(*to, text) {
			return d.at(n, hint.Wrap(fmt.Errorf("the hierarchy %q is named twice", text), "name it once"))
		}
		*to = append(*to, text)
		return nil
	}
}
