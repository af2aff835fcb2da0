package layer

import (
	"context"
	"errors"
	"fmt"
	"os"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

// EngineAuto leaves the choice to Choose.
const EngineAuto = "auto"

// EngineOptions say which engine is wanted, and what each is made with.
type EngineOptions struct {
	// Name is EngineAuto, EngineSystemd or EngineNative; "" is EngineAuto.
	Name    string
	Systemd SystemdOptions
	Native  NativeOptions
}

// oldestSystemd is the first systemd that has a tool for a kind, and merges.
func oldestSystemd(k extension.Kind) int {
	if k.Name == extension.Confext().Name {
		return 254
	}
	return 248
}

// Choose returns the engine for the system below root. Unless one is named, that
// is systemd where it is PID 1 of the running system and has the tool; else the
// native one: another root, an initial RAM disk, a container and OpenRC need
// nothing of systemd.
func Choose(ctx context.Context, root *os.Root, k extension.Kind, o EngineOptions) (Engine, error) {
	switch o.Name {
	case EngineNative:
		return NewNative(root, o.Native)
	case EngineSystemd, EngineAuto, "":
	default:
		return nil, hint.Wrap(fmt.Errorf("%q is no engine", o.Name), "choose one of auto, systemd, native")
	}
	e, err := NewSystemd(root, o.Systemd)
	if err != nil {
		return nil, err
	}
	auto := o.Name != EngineSystemd
	if auto && (!e.systemd.running || !e.systemd.managed()) {
		return NewNative(root, o.Native)
	}
	version, err := e.systemd.version(ctx, k)
	switch {
	case err == nil && version >= oldestSystemd(k):
		return e, nil
	case auto && (err == nil || errors.Is(err, ErrNoTool)):
		return NewNative(root, o.Native)
	case err != nil:
		return nil, err
	default:
		return nil, hint.Wrap(fmt.Errorf("%w of kind %s: systemd %d does not", ErrNoTool, k.Name, version), "choose the native engine")
	}
}
