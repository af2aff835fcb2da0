package layer

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

// asking bounds what only asks systemd or the journal.
const asking = 20 * time.Second

// byManager has systemd reload the service, so that its drop-ins count.
//
// "reload-or-restart" is what refreshes in every version. From 254 on the
// service can be reloaded, which asks no condition, leaves a merge in place that
// the new one fails before, and is not counted against the limit of five starts
// in ten seconds, into which "restart" runs. Up to 253, and without Kairos'
// drop-in, it is a restart: that unmerges first.
func (s *Systemd) byManager(ctx context.Context, k extension.Kind, o RefreshOptions) error {
	unit, err := s.unit(ctx, k)
	if err != nil {
		return err
	}
	switch unit["LoadState"] {
	case "masked":
		return hint.Wrap(fmt.Errorf("%s is masked", k.Unit), "if extensions are wanted: systemctl unmask "+k.Unit)
	case "loaded":
	default:
		return s.byTool(ctx, k, o)
	}
	restore, changed, err := s.setDropIn(k, o.SetAsideSignatures)
	if err != nil {
		return err
	}
	// Drop-ins that were changed by somebody else would be ignored, too: one
	// may hold the policy that images must fit.
	if changed || unit["NeedDaemonReload"] == "yes" {
		err = s.systemctl(ctx, "daemon-reload")
	}
	if err == nil {
		err = s.reload(ctx, k, unit, o)
	}
	if err == nil || !changed {
		return err
	}
	if undo := restore(); undo != nil {
		return errors.Join(err, undo)
	}
	// Whatever became of ctx: the manager must not go on without signatures.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), asking)
	defer cancel()
	return errors.Join(err, s.systemctl(ctx, "daemon-reload"))
}

// reload reloads or starts the service and sees that it did something.
func (s *Systemd) reload(ctx context.Context, k extension.Kind, unit map[string]string, o RefreshOptions) error {
	if unit["ActiveState"] != "active" || unit["CanReload"] != "yes" {
		// It will be started, and may have been often of late. If this fails,
		// the start will say why.
		_, _ = s.run(ctx, "systemctl", "reset-failed", k.Unit)
	}
	start := s.o.Now()
	out, err := s.run(ctx, "systemctl", "--no-ask-password", "reload-or-restart", k.Unit)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for %s: %w", k.Unit, err)
		}
		err = refused(k.Tool, err, s.journal(ctx, k, start), words(out.Stderr))
		return hint.Wrap(err, "see all that it said: journalctl -u "+k.Unit)
	}
	if unit["ActiveState"] == "active" {
		return nil
	}
	// The conditions of the unit want something in a folder of extensions, and
	// if there is nothing it is not even started, without an error. What is
	// merged then was merged by hand, and must go.
	if unit, err = s.unit(ctx, k); err != nil || unit["ActiveState"] == "active" {
		return err
	}
	merged, err := s.Merged(ctx, k)
	if err != nil || len(merged) == 0 {
		return err
	}
	return s.byTool(ctx, k, o)
}

// unit asks the manager about the service.
func (s *Systemd) unit(ctx context.Context, k extension.Kind) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	out, err := s.run(ctx, "systemctl", "show", "--property=LoadState,ActiveState,CanReload,NeedDaemonReload", k.Unit)
	if errors.Is(err, exec.ErrNotFound) {
		// systemd is there, its control program is not: an image without it.
		return map[string]string{"LoadState": "not-found"}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("asking about %s: %w", k.Unit, refused("systemctl", err, words(out.Stderr)))
	}
	properties := map[string]string{}
	for line := range strings.Lines(string(out.Stdout)) {
		if name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "="); found {
			properties[name] = value
		}
	}
	return properties, nil
}

// serviceEnvironment returns what the service's tool gets as variables, of those
// that steer it.
func (s *Systemd) serviceEnvironment(ctx context.Context, k extension.Kind) (func(string) string, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	variables := map[string]string{}
	out, err := s.run(ctx, "systemctl", "show", "--property=Environment", "--value", k.Unit)
	if errors.Is(err, exec.ErrNotFound) {
		return s.o.Getenv, nil
	}
	if err != nil {
		return nil, fmt.Errorf("asking about %s: %w", k.Unit, refused("systemctl", err, words(out.Stderr)))
	}
	for word := range strings.FieldsSeq(string(out.Stdout)) {
		if name, value, found := strings.Cut(strings.Trim(word, `"`), "="); found {
			variables[name] = value
		}
	}
	return func(name string) string { return variables[name] }, nil
}

// systemctl runs a verb that has nothing to say unless it fails.
func (s *Systemd) systemctl(ctx context.Context, args ...string) error {
	out, err := s.run(ctx, "systemctl", args...)
	if err != nil {
		return refused("systemctl "+args[0], err, words(out.Stderr))
	}
	return nil
}

// journal returns what the service's tool has said since, as far as the journal
// knows. The tool is gone so fast that the journal may not learn of which service
// it was, but its own name is in what it says.
func (s *Systemd) journal(ctx context.Context, k extension.Kind, since time.Time) string {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	// What it said may be on its way; without an answer what is there must do.
	_, _ = s.run(ctx, "journalctl", "--sync")
	out, err := s.run(ctx, "journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=20",
		fmt.Sprintf("--since=@%d.%06d", since.Unix(), since.Nanosecond()/1000),
		"SYSLOG_IDENTIFIER="+k.Tool, "+", "_SYSTEMD_UNIT="+k.Unit)
	if err != nil {
		return ""
	}
	return words(out.Stdout)
}

func (s *Systemd) run(ctx context.Context, program string, args ...string) (Output, error) {
	return s.o.Runner.Run(ctx, Call{append([]string{program}, args...), plain()})
}
