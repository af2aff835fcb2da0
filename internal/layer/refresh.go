package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

// RefreshOptions are how a refresh is to be made.
type RefreshOptions struct {
	// SetAsideSignatures has systemd ignore the signatures of all images, and
	// keep their verity: for an image that is wanted and whose key nobody here
	// knows. Without it, one such image keeps all from being merged. Only for
	// where no policy asks for signatures. It holds until the next Refresh says
	// otherwise, or the next boot, also for refreshes of the service by others.
	SetAsideSignatures bool
}

// Refresh merges what lies in the extension folders anew. An error holds what
// systemd's tool said. It is ErrNoTool if there is no such tool.
//
// A refresh that has begun ends by itself, by the limit of time or by ctx's
// deadline; when ctx is only cancelled it runs on, as systemd (up to 262) unmerges
// the old before it merges the new. For the same reason an error may leave
// nothing merged: put back the links that were there and refresh once more.
//
// Success does not mean that everything is merged. systemd skips an extension
// that is not made for this host, and says nothing; Merged tells.
func (s *Systemd) Refresh(ctx context.Context, k extension.Kind, o RefreshOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := s.limited(ctx)
	defer cancel()
	err := s.refresh(ctx, k, o)
	if errors.Is(err, context.DeadlineExceeded) {
		err = hint.Default(err, "see what holds it up: systemctl list-jobs, and journalctl -u "+k.Unit)
	}
	if err != nil {
		return fmt.Errorf("refreshing what is merged of kind %s: %w", k.Name, err)
	}
	return nil
}

// limited returns a context that is not cancelled with ctx, and ends with its
// deadline, or by the limit of time.
func (s *Systemd) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := s.o.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

func (s *Systemd) refresh(ctx context.Context, k extension.Kind, o RefreshOptions) error {
	if !s.running || !s.managed() {
		return s.byTool(ctx, k, o)
	}
	return s.byManager(ctx, k, o)
}

// managed says whether systemd is PID 1 (sd_booted(3)).
func (s *Systemd) managed() bool {
	_, err := s.root.Lstat("run/systemd/system")
	return err == nil
}

// byTool runs the program itself, which needs no manager.
func (s *Systemd) byTool(ctx context.Context, k extension.Kind, o RefreshOptions) error {
	var env []string
	if o.SetAsideSignatures {
		env = []string{setAside}
	}
	return s.tool(ctx, k, nil, env, "refresh")
}

// tool runs a verb of the program, with env after what it gets anyway.
func (s *Systemd) tool(ctx context.Context, k extension.Kind, args, env []string, verb string) error {
	argv := []string{k.Tool}
	if !s.running {
		folder, err := filepath.Abs(s.root.Name())
		if err != nil {
			return err
		}
		argv = append(argv, "--root="+folder)
	}
	argv = append(append(argv, args...), verb)
	out, err := s.o.Runner.Run(ctx, Call{argv, append(s.environment(k), env...)})
	switch {
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		return missingTool(k)
	case err != nil:
		return refused(k.Tool, err, words(out.Stderr), words(out.Stdout))
	}
	return nil
}

func missingTool(k extension.Kind) error {
	return hint.Wrap(fmt.Errorf("%w: %s is not installed", ErrNoTool, k.Tool),
		"install systemd (248 or newer for sysext, 254 for confext)")
}

// version asks the program for its version.
func (s *Systemd) version(ctx context.Context, k extension.Kind) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	out, err := s.run(ctx, k.Tool, "--version")
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return 0, missingTool(k)
	}
	if err != nil {
		return 0, fmt.Errorf("asking for the version: %w", refused(k.Tool, err, words(out.Stderr)))
	}
	// "systemd 257 (257.13-1~deb13u1)", "systemd 262~rc1".
	_, rest, _ := strings.Cut(string(out.Stdout), " ")
	rest = rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	version, err := strconv.Atoi(rest)
	if err != nil {
		return 0, fmt.Errorf("asking for the version: %s says %q", k.Tool, words(out.Stdout))
	}
	return version, nil
}

// refused is the error of a program that failed, with what it said.
func refused(program string, err error, said ...string) error {
	for _, text := range said {
		if text != "" {
			return advised(fmt.Errorf("%s says: %s (%w)", program, text, err), text)
		}
	}
	return fmt.Errorf("%s says nothing: %w", program, err)
}

// advised adds to err what helps against what was said, where that is known.
func advised(err error, said string) error {
	for words, advice := range map[string]string{
		// ENOKEY of the kernel: systemd up to 262 gives up on all extensions then.
		"Required key not available":        "put the certificate of the extension's signer into /etc/verity.d, or disable the extension",
		"Failed to read metadata for image": "disable the extension that is named, or see what is wrong with it: inlay verify",
	} {
		if strings.Contains(said, words) {
			err = hint.Wrap(err, advice)
		}
	}
	return err
}

// environment is what the tool gets: what steers it, and nothing that could make
// signatures or policies count less.
func (s *Systemd) environment(k extension.Kind) []string {
	env := plain()
	for _, what := range []string{"HIERARCHIES", "MUTABLE_MODE", "OVERLAYFS_MOUNT_OPTIONS"} {
		name := variable(k, what)
		if value := s.o.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// plain is the environment of any program: its words come in one language, on
// its own streams and without colours.
func plain() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C.UTF-8", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=", "SYSTEMD_LOG_TARGET=console",
	}
}
