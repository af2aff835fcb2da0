package node

import (
	"cmp"
	"errors"
	"path/filepath"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/store"
	"inlay/internal/verify"
)

// command is a command line about this node, for people to type.
func (n *Node) command(words ...string) string {
	return n.commandOf(n.program(), append([]string{n.Kind.Name}, words...)...)
}

// program is the name that we were called by.
func (n *Node) program() string { return cmp.Or(n.Program, "inlay") }

// commandOf is a command line of a program of ours.
func (n *Node) commandOf(program string, words ...string) string {
	if name := n.Root.Name(); name != "/" {
		words = append(words, "--root", name)
	}
	for _, w := range words {
		program += " " + typed(w)
	}
	return program
}

// find is the store's, with the command that helps where no name is near.
func (n *Node) find(patterns []string, all bool) ([]store.Image, error) {
	images, err := n.store.Find(patterns, all)
	if !errors.Is(err, store.ErrNotFound) {
		return images, err
	}
	advice := n.command("list") + " shows what is there"
	if all, imagesErr := n.store.Images(); imagesErr == nil && len(all) == 0 {
		advice = "the store is empty: " + n.command("download", "URI") + " fetches an extension"
	}
	return nil, hint.Default(err, advice)
}

// outOfTheWay is the command against an image that may not be used: what is in
// use is taken out, and the rest looked at.
func (n *Node) outOfTheWay(im store.Image, e Entry, profile string) string {
	if e.Verdict != string(verify.Refused) || len(im.Profiles) == 0 && !im.Linked {
		return n.commandOf("inlay", "verify", filepath.Join(n.Root.Name(), im.Path))
	}
	words := []string{"disable", im.Name}
	for _, p := range im.Profiles {
		words = append(words, "--"+string(p))
	}
	if len(im.Profiles) == 0 {
		words = append(words, "--"+profile)
	}
	return n.command(append(words, "--now")...)
}

// typed quotes a word for a shell, if it needs that. Whoever brings an image
// chooses its name, and what is advised may be typed without a second look.
func typed(word string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./+:@%,="
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
