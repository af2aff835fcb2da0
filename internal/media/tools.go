package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"inlay/internal/hint"
)

// Tools are the programs that make file systems: mkfs.vfat, mmd, mcopy, xorriso.
type Tools struct {
	// Path is where to look for them, as in $PATH. The folders that only root
	// has in it are searched too.
	Path string
	// Epoch is the time of day that they are told.
	Epoch time.Time
}

// The programs.
const (
	mkfsVFAT = "mkfs.vfat"
	mmd      = "mmd"
	mcopy    = "mcopy"
	xorriso  = "xorriso"
)

// Require says, before any work is done, which programs are missing.
func (t Tools) Require(names ...string) error {
	var missing []string
	for _, name := range names {
		if _, err := t.find(name); err != nil {
			missing = append(missing, name)
		}
	}
	switch len(missing) {
	case 0:
		return nil
	case 1:
		return hint.Wrap(fmt.Errorf("the program %s is not installed", missing[0]), installAdvice)
	}
	last := len(missing) - 1
	return hint.Wrap(fmt.Errorf("the programs %s and %s are not installed", strings.Join(missing[:last], ", "), missing[last]), installAdvice)
}

// RequireISO is Require for all that an ISO takes.
func (t Tools) RequireISO() error { return t.Require(mkfsVFAT, mmd, mcopy, xorriso) }

const installAdvice = "apt-get install dosfstools mtools xorriso, or run the container image inlay-media, which has them"

func (t Tools) find(name string) (string, error) {
	for _, folder := range append(filepath.SplitList(t.Path), "/usr/sbin", "/sbin") {
		if !filepath.IsAbs(folder) {
			continue // what lies in the working folder was never meant
		}
		path := filepath.Join(folder, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("the program %s is not installed", name)
}

// job is one run of a program.
type job struct {
	name  string
	args  []string
	input io.Reader // nil for none
	file  *os.File  // it has it as descriptor 3
	what  string    // for errors: "copying %q"
}

// fd names a job's file, in the job: such a file needs no name that could stay
// when this process is killed.
const fd = "/proc/self/fd/3"

const (
	// maxSaid bounds what is kept of a program's messages, in bytes: the end.
	maxSaid = 4 << 10
	// stopLimit is how long a program may take to end when it is told to.
	stopLimit = 3 * time.Second
)

// run starts a program without a shell and waits for its end.
func (t Tools) run(ctx context.Context, j job) error {
	path, err := t.find(j.name)
	if err != nil {
		return t.Require(j.name)
	}
	c := exec.CommandContext(ctx, path, j.args...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = stopLimit
	c.ExtraFiles = []*os.File{j.file}
	c.Dir = "/"
	// Ctrl-C at a terminal goes to a whole group: this process decides alone what
	// an interrupted program means.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Env = []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "LC_ALL=C.UTF-8", "TZ=UTC",
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(t.Epoch.Unix(), 10),
		// No file of this machine changes what is made.
		"MTOOLSRC=/dev/null", "MTOOLS_NO_VFAT=0", "MTOOLS_LOWER_CASE=0",
	}
	said := &tail{}
	c.Stdout, c.Stderr = said, said
	source := &faithful{Reader: j.input}
	if j.input != nil {
		c.Stdin = source
	}
	err = c.Run()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case source.err != nil:
		return fmt.Errorf("%s: %w", j.what, source.err)
	case err != nil:
		text := said.fault()
		if strings.Contains(text, noSpace) {
			return fmt.Errorf("%s with %s: %w", j.what, j.name, syscall.ENOSPC)
		}
		err = fmt.Errorf("%s with %s: %w", j.what, j.name, err)
		if text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return err
	}
	return nil
}

// noSpace is how the C library says, in English, what no program has a code for.
const noSpace = "No space left on device"

// faithful remembers that reading failed: to the program at the other end of
// the pipe that looks like the end of the file.
type faithful struct {
	io.Reader
	err error
}

func (f *faithful) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// tail keeps the end of what a program says.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p[max(0, len(p)-maxSaid):]...)
	t.text = t.text[max(0, len(t.text)-maxSaid):]
	return len(p), nil
}

// maxLines is how many lines of a program an error quotes.
const maxLines = 3

// fault returns the end of what the program says, without what could harm a
// terminal; of xorriso, which says much, what it marks as a fault.
func (t *tail) fault() string {
	var all, marked []string
	for line := range strings.Lines(string(t.text)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		all = append(all, line)
		for _, mark := range []string{" : SORRY : ", " : FAILURE : ", " : FATAL : "} {
			if _, text, ok := strings.Cut(line, mark); ok {
				marked = append(marked, text)
			}
		}
	}
	if len(marked) > 0 {
		all = marked
	} else if len(all) > 1 {
		all = all[len(all)-1:]
	}
	text := strings.Join(all[max(0, len(all)-maxLines):], "; ")
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, text)
}
