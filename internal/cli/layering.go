package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/layer"
	"inlay/internal/mount"
	"inlay/internal/node"
	"inlay/internal/trust"
)

// layering merges extensions of one kind into a system, as its configuration and
// the command line say.
type layering struct {
	env    *Env
	system *system
	kind   extension.Kind
	// engine is the one to take: the configuration's, unless a flag names one.
	engine string
	rule   node.Rule
	// request is what each plan is made from.
	request layer.Request
}

// newLayering is what the configuration says.
func newLayering(env *Env, s *system, k extension.Kind) *layering {
	c := s.config.Layering
	l := &layering{env: env, system: s, kind: k, engine: c.Engine, rule: s.rule()}
	l.request = layer.Request{
		Kind: k, Architecture: extension.ArchitectureWord(env.Architecture), User: env.User,
		Old:    c.Search == nil || *c.Search,
		Policy: l.rule.Policy, Anchors: s.anchors, Now: env.Now(),
		Extended: c.Matching == "extended", Unsafe: c.UnsafeContent != nil && *c.UnsafeContent,
		Hierarchies: c.For(k.Mergeable), Getenv: env.Getenv,
	}
	// As for systemd, the environment comes before what is configured.
	if env.Getenv(modeVariable(k)) == "" {
		l.request.Mutable = layer.Mode(c.Mutable)
	}
	return l
}

// modeVariable is systemd's variable for the mode of mutability.
func modeVariable(k extension.Kind) string {
	if k.Configuration {
		return "SYSTEMD_CONFEXT_MUTABLE_MODE"
	}
	return "SYSTEMD_SYSEXT_MUTABLE_MODE"
}

// hold holds images to a policy of the command line.
func (l *layering) hold(policy trust.Policy) {
	l.rule = node.Rule{Policy: policy, Because: "the command line says so"}
	l.request.Policy, l.request.PolicyGiven = policy, true
}

// choose returns the engine for the system below root.
func (l *layering) choose(ctx context.Context, root *os.Root) (layer.Engine, error) {
	name := l.engine
	if l.env.ourselves(l.kind.Tool) {
		// To ask that tool is to ask this program, which would ask it again.
		if name == layer.EngineSystemd {
			return nil, hint.Wrap(fmt.Errorf("%s is this very program: there is no other engine than its own", l.kind.Tool),
				"choose the engine native")
		}
		name = layer.EngineNative
	}
	system := layer.Options{Getenv: l.env.Getenv, Now: l.env.Now}
	return layer.Choose(ctx, root, l.kind, layer.EngineOptions{
		Name:    name,
		Systemd: layer.SystemdOptions{Options: system},
		Native:  layer.NativeOptions{Getenv: l.env.Getenv, Now: l.env.Now},
	})
}

// native returns the native engine: to look at what is merged, whoever has merged it.
func (l *layering) native(root *os.Root) (layer.Engine, error) {
	return layer.NewNative(root, layer.NativeOptions{Getenv: l.env.Getenv, Now: l.env.Now})
}

// ourselves says whether a tool of systemd's is this program under that name.
func (env *Env) ourselves(tool string) bool {
	self, err := os.Executable()
	if err != nil {
		return false
	}
	ours, err := os.Stat(self)
	if err != nil {
		return false
	}
	for _, folder := range filepath.SplitList(env.Getenv("PATH")) {
		if theirs, err := os.Stat(filepath.Join(folder, tool)); err == nil && theirs.Mode().IsRegular() {
			return os.SameFile(ours, theirs)
		}
	}
	return false
}

// home runs fn with the root of the system as those see it who use it: in the mount
// namespace of the first process if it is the running one.
func (l *layering) home(fn func(root *os.Root) error) error {
	if !l.system.running() {
		return fn(l.system.root)
	}
	return layer.Home(1, fn)
}

// homeOrHere is home for those who only look: who may not look there looks here.
func (l *layering) homeOrHere(fn func(root *os.Root) error) error {
	err := l.home(fn)
	if _, elsewhere := errors.AsType[*mount.NamespaceError](err); elsewhere {
		return fn(l.system.root)
	}
	return err
}

// verb is what to do with a plan; nil is nothing.
type verb func(ctx context.Context, e layer.Engine, p *layer.Plan) (*layer.Result, error)

// execute makes a plan and does something with it, by whichever engine there is. The
// plan is open while see looks at it, after do.
func (l *layering) execute(ctx context.Context, do verb, see func(layer.Engine, *layer.Plan, *layer.Result, *os.Root) error) error {
	home := l.home
	if do == nil {
		home = l.homeOrHere
	}
	return home(func(root *os.Root) (err error) {
		e, err := l.choose(ctx, root)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.Close()) }()
		if err := l.mayLook(ctx, e); err != nil {
			return err
		}
		r := l.request
		r.Root, r.Look = root, do == nil
		if err := e.Prepare(ctx, &r); err != nil {
			return err
		}
		if do == nil {
			r.Seal = nil // to look at images needs no copies of them
		}
		p, err := layer.MakePlan(ctx, r)
		if p != nil {
			defer func() { err = errors.Join(err, p.Close()) }()
		}
		var result *layer.Result
		if err == nil && do != nil {
			result, err = do(ctx, e, p)
		}
		if p == nil {
			return err
		}
		return errors.Join(err, see(e, p, result, root))
	})
}

// mayLook says why a plan cannot be made: only root can look beneath what is merged.
func (l *layering) mayLook(ctx context.Context, e layer.Engine) error {
	if l.env.User == 0 {
		return nil
	}
	merged, err := e.Merged(ctx, l.kind)
	if err != nil || len(merged) == 0 {
		return err
	}
	return hint.Wrap(fmt.Errorf("looking beneath what is merged into %q takes root", merged[0].Path), "run it as root")
}

// merged is what is merged now, and the report of how that came about; nil if there
// is none.
func (l *layering) merged(ctx context.Context, e layer.Engine, root *os.Root) ([]layer.Hierarchy, *layer.Report, error) {
	merged, err := e.Merged(ctx, l.kind)
	if err != nil {
		return nil, nil, err
	}
	report, err := layer.ReadReport(root, l.kind)
	if report != nil {
		report.Inspect()
	}
	return merged, report, err
}

// layerError gives an error of a merge its exit code and the advice that it lacks.
func layerError(k extension.Kind, err error) error {
	if _, ok := errors.AsType[*layer.RefusedError](err); ok || errors.Is(err, layer.ErrDiffers) {
		return &exitError{hint.Default(err, "inlay "+k.Name+" status says what each extension is held to"), exitRefused}
	}
	if errors.Is(err, layer.ErrBusy) {
		return &exitError{err, exitBusy}
	}
	return hint.Default(err, "inlay "+k.Name+" status says what is merged, and what is in the way")
}

// words that flags take.
func engineNames() []string {
	return []string{layer.EngineAuto, layer.EngineSystemd, layer.EngineNative}
}
