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
	root    *os.Root
	state   *bootstate.Report
	config  *config.Config
	anchors *trust.Set
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
	s := &system{root: root, state: state}
	return s, s.trust()
}

// trust is what the machine's configuration says, and its firmware if it was
// booted by that.
func (s *system) trust() error {
	c, err := config.Load(s.root, config.Options{Default: true})
	if err != nil {
		return err
	}
	t, err := c.TrustOptions(s.root)
	if err != nil {
		return err
	}
	t.Firmware = t.Firmware || s.state.TrustedBoot
	s.config = c
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
		Architecture: extension.ArchitectureWord(env.Architecture), Now: env.Now,
	}
}

// rule is what extensions are held to.
func (s *system) rule() node.Rule {
	return node.RuleOf(node.Options{Anchors: s.anchors, Configured: s.config.Policy, State: s.state})
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
