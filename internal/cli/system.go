package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"inlay/internal/bootstate"
	"inlay/internal/config"
	"inlay/internal/extension"
	"inlay/internal/node"
	"inlay/internal/trust"
)

// system is a machine with what its operator has laid down.
type system struct {
	root *os.Root
	// host is where this boot's proc, sys and run are: root, but in an initial RAM
	// disk.
	host    *os.Root
	state   *bootstate.Report
	config  *config.Config
	anchors *trust.Set
	// ownTrust lets in extensions that bring keys to trust, or settings of the merge.
	ownTrust bool
}

// openSystem opens the machine below a folder.
func openSystem(name string) (_ *system, err error) {
	root, err := openRoot(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = root.Close()
		}
	}()
	state, err := detect(root)
	if err != nil {
		return nil, err
	}
	s := &system{root: root, host: root, state: state}
	return s, s.trust()
}

// trust is what the machine's configuration says or, on a trusted boot, what is
// signed says.
func (s *system) trust() error {
	if s.state.TrustedBoot {
		_, err := s.trustedBoot(nil)
		return err
	}
	c, err := config.Load(s.root, config.Options{Default: true})
	if err != nil {
		return err
	}
	t, err := c.TrustOptions(s.root)
	if err != nil {
		return err
	}
	t.System = s.host
	s.config, s.ownTrust = c, isTrue(c.Boot.AllowOwnTrust)
	s.anchors, err = trust.Load(t)
	return err
}

func (s *system) close() { _ = s.root.Close() }

// running says that it is the running system, and no other's files.
func (s *system) running() bool { return filepath.Clean(s.root.Name()) == "/" }

// node are the options of a node of one kind.
func (s *system) node(env *Env, k extension.Kind) node.Options {
	return node.Options{
		Root: s.root, Kind: k, Anchors: s.anchors, Configured: s.config.Policy, State: s.state,
		RequireValidDates: isTrue(s.config.Trust.ValidDates), NoOwnTrust: s.noOwnTrust(),
		Architecture: extension.ArchitectureWord(env.Architecture), Now: env.Now,
	}
}

// rule is what extensions are held to.
func (s *system) rule() node.Rule {
	return node.RuleOf(node.Options{Anchors: s.anchors, Configured: s.config.Policy, State: s.state})
}

// noOwnTrust says that an extension may not decide whom the system trusts. Where
// anybody's is let in, that would say nothing.
func (s *system) noOwnTrust() bool { return !s.ownTrust && s.rule().Policy.NeedsSignature() }

func isTrue(b *bool) bool { return b != nil && *b }

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
