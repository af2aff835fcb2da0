package layer

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

// call has systemd merge: by its service if the request leaves everything to that,
// else by its tool.
func (e *SystemdEngine) call(ctx context.Context, p *Plan, verb string, o RunOptions) error {
	r := &p.Request
	k := r.Kind
	if verb == "refresh" && !p.explicit && r.NoExec == nil && !r.Force && !r.PolicyGiven && !o.NoReload && !o.Always {
		return e.systemd.refresh(ctx, k, RefreshOptions{SetAsideSignatures: r.SetAside})
	}
	args := common(r.Systemd, o)
	if r.PolicyGiven {
		if r.Systemd < policySince {
			return hint.Wrap(fmt.Errorf("systemd %d knows no image policy", r.Systemd), "choose the native engine")
		}
		args = append(args, "--image-policy="+r.Policy.Systemd())
	}
	if r.NoExec != nil {
		args = append(args, "--noexec="+strconv.FormatBool(*r.NoExec))
	}
	if r.Force {
		args = append(args, "--force")
	}
	switch {
	case r.Systemd >= mutableSince:
		args = append(args, "--mutable="+string(r.Mutable))
	case r.Mutable != Immutable:
		return hint.Wrap(fmt.Errorf("systemd %d merges nothing that can be written to", r.Systemd), "choose the native engine")
	}
	if o.Always && r.Systemd >= alwaysSince {
		args = append(args, "--always-refresh=yes")
	}
	env := hierarchyEnvironment(k, r.Hierarchies)
	if r.SetAside {
		env = append(env, setAside)
	}
	return e.systemd.tool(ctx, k, args, env, verb)
}

// common are the arguments of every call.
func common(version int, o RunOptions) []string {
	if o.NoReload && version >= noReloadSince {
		return []string{"--no-reload"}
	}
	return nil
}

// hierarchyEnvironment tells systemd's tool the hierarchies, unless they are its
// own.
func hierarchyEnvironment(k extension.Kind, hierarchies []string) []string {
	var own []string
	for _, h := range k.Mergeable {
		own = append(own, "/"+h)
	}
	slices.Sort(own)
	if slices.Equal(own, hierarchies) || len(hierarchies) == 0 {
		return nil
	}
	return []string{variable(k, "HIERARCHIES") + "=" + strings.Join(hierarchies, ":")}
}
