// Package node manages the extensions of one machine: it fetches images into
// the store, judges them, switches them on and off per boot profile, has them
// merged at once if asked, and says of each what it does and what stops it.
//
// It orders the steps of store, fetch, verify and whoever merges, so that each
// command is done or undone as a whole. Left out on purpose: how images are
// merged (the Merger it is given knows), and what happens at boot.
package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"inlay/internal/bootstate"
	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/store"
	"inlay/internal/trust"
	"inlay/internal/verify"
)

// Merger has extensions merged into the running system and tells which are.
type Merger interface {
	// Refresh merges what is linked in the run folder. With setAside,
	// signatures are not looked at: somebody's is that nobody here can check.
	Refresh(ctx context.Context, k extension.Kind, setAside bool) error
	// Seen tells by name what is merged now, and what the last merge left out, as
	// far as that is known.
	Seen(ctx context.Context, k extension.Kind) (map[string]Seen, error)
}

// Seen is what a Merger tells of an extension.
type Seen struct {
	Merged bool
	// Path is where what is merged lies, with a leading slash; "" if that isn't known.
	Path string
	// Guarantee says what keeps a merged one what it was when it was verified: ""
	// if that isn't known.
	Guarantee string
	// Why says what is wrong with a merged one, or why another was left out; ""
	// if nothing, or if that isn't known. Refused says that it was left out though
	// it fits the host.
	Why     string
	Refused bool
}

// Options are what a Node goes by.
type Options struct {
	Root *os.Root // of the system; the caller closes it
	Kind extension.Kind
	// Anchors are trusted. Configured is the policy of the configuration or of
	// the command line, nil if there is none.
	Anchors    *trust.Set
	Configured *trust.Policy
	// RequireValidDates refuses signers whose certificate is out of date.
	RequireValidDates bool
	// State is what was booted.
	State *bootstate.Report
	// Architecture is the host's, in systemd's word.
	Architecture string
	Merger       Merger
	Now          func() time.Time
	// Wait is how long to wait for another command that changes the store.
	Wait time.Duration
	// Command is what others are told meanwhile.
	Command string
	// Program is the name of ours that commands are advised under; "" is inlay.
	Program string
}

// Node is the extensions of one kind on one machine.
type Node struct {
	Options
	store *store.Store
	rule  Rule
}

// Open returns the node's extensions; its store need not exist yet. What a
// command that was killed has left half done is undone.
func Open(o Options) (*Node, error) {
	s, err := store.Open(o.Root, o.Kind, store.Options{})
	if err != nil {
		return nil, err
	}
	s.Settle()
	return &Node{Options: o, store: s, rule: RuleOf(o)}, nil
}

// Close gives back what Open took.
func (n *Node) Close() error { return n.store.Close() }

// Rule is what images are held to on this node, and why.
type Rule struct {
	Policy  trust.Policy
	Because string
}

// Rule returns what images are held to.
func (n *Node) Rule() Rule { return n.rule }

// RuleOf decides the policy, by the anchors, the configuration and what was booted. Where nobody has said anything, an unsigned image
// is let in only on a machine that trusts no key at all: whoever has laid down
// a key, or booted by Secure Boot, means signatures. A key that is there and
// broken counts as laid down.
func RuleOf(o Options) Rule {
	var signed trust.Policy
	switch {
	case o.Configured != nil:
		return Rule{*o.Configured, "the configuration says so"}
	case o.State != nil && o.State.TrustedBoot:
		return Rule{signed, "this is a trusted boot"}
	case o.Anchors != nil && o.Anchors.Named:
		return Rule{signed, "keys to trust have been laid down here"}
	}
	open, err := trust.ParsePolicy("any")
	if err != nil {
		return Rule{signed, "the open policy is not known"}
	}
	return Rule{open, "no key to trust has been laid down here"}
}

// judge gives the verdict on an image under the node's rule.
func (n *Node) judge(ctx context.Context, s *verify.Subject, depth verify.Depth, progress func(done, total int64)) (*verify.Verdict, error) {
	o := verify.Options{
		Anchors: n.Anchors, Policy: n.rule.Policy, Depth: depth, Progress: progress,
		Now: n.Now(), RequireValidDates: n.RequireValidDates,
	}
	host, err := n.host()
	if err == nil {
		o.Host = host
	}
	return verify.Run(ctx, s, o)
}

// host is the machine that the root belongs to.
func (n *Node) host() (*extension.Host, error) {
	h, err := extension.HostAt(content.Folder(n.Root), n.Architecture)
	if err != nil {
		return nil, fmt.Errorf("telling what this host is: %w", err)
	}
	return &h, nil
}

// booted says whether images of a profile are used by what was booted.
func (n *Node) booted(p store.Profile) bool {
	return p == store.Common || n.State != nil && string(p) == n.State.Profile
}

// used says whether what was booted uses an image.
func (n *Node) used(im store.Image) bool { return slices.ContainsFunc(im.Profiles, n.booted) }

// locked runs do while this process alone may change the store. It is given what
// to tell of an interrupted command.
func (n *Node) locked(ctx context.Context, do func(notes []string) error) error {
	unlock, err := n.store.Lock(ctx, n.Wait, n.Command)
	if err != nil {
		return err
	}
	return errors.Join(do(n.catchUp(ctx)), unlock())
}
