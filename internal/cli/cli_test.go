package cli_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/cli"
)

// run calls the command line as a program would be, with streams of its own.
func run(ctx context.Context, env cli.Env, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(""), &out, &errs
	if env.Getenv == nil {
		env.Getenv = func(string) string { return "" }
	}
	env.Now = func() time.Time { return time.Unix(fixtureTime, 0) }
	env.Architecture = "arm64"
	code = cli.Main(ctx, args, &env)
	return code, out.String(), errs.String()
}

func writeLayer(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	content := noise(4 << 20)
	if err := w.WriteHeader(&tar.Header{Name: "usr/bin/tool", Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "layer.tar")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTerminalShowsABar(t *testing.T) {
	t.Parallel()
	layer := writeLayer(t)
	for name, c := range map[string]struct {
		flags    []string
		terminal bool
		bar      bool
		lines    bool
	}{
		"terminal":       {nil, true, true, false},
		"quiet terminal": {[]string{"--quiet"}, true, false, false},
		"JSON":           {[]string{"--json"}, true, false, false},
		"pipe":           {nil, false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"inlay", "build", "tool", "file:" + layer, "--output", t.TempDir()}, c.flags...)
			code, stdout, stderr := run(t.Context(), cli.Env{Terminal: c.terminal}, args...)
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			if bar := strings.Contains(stderr, "\rreading layers"); bar != c.bar {
				t.Errorf("a bar: %v, want %v: %q", bar, c.bar, stderr)
			}
			if lines := stderr == "reading layers\npacking\n"; lines != c.lines {
				t.Errorf("lines: %v, want %v: %q", lines, c.lines, stderr)
			}
			if c.bar && strings.TrimRight(stderr[strings.LastIndex(stderr, "\r")+1:], " ") != "" {
				t.Errorf("the bar stays on the terminal: %q", stderr)
			}
			if stdout == "" {
				t.Error("no result")
			}
		})
	}
}

// TestMachineDefault: without --arch the image is for the machine that builds.
func TestMachineDefault(t *testing.T) {
	t.Parallel()
	_, stdout, _ := run(t.Context(), cli.Env{}, "inlay", "build", "tool", "file:"+writeLayer(t), "--json", "-o", t.TempDir())
	var result struct{ Architecture string }
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		t.Fatal(err)
	}
	if result.Architecture != "arm64" {
		t.Errorf("built for %q on arm64", result.Architecture)
	}
}

func TestCancelledBuild(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	code, _, stderr := run(ctx, cli.Env{}, "inlay", "build", "tool", "file:"+writeLayer(t), "-o", dir)
	if code != 130 || !strings.HasSuffix(stderr, "inlay: interrupted\n") {
		t.Errorf("exit code %d: %q", code, stderr)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestMachineAttributes: what the builder's machine put on a folder's files
// stays behind, what is content does not.
func TestMachineAttributes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "usr", "bin", "tool")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("tool"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"security.selinux", "security.evm", "user.kept"} {
		if err := unix.Setxattr(file, name, []byte("x"), 0); err != nil {
			t.Skipf("setting %s here: %v", name, err)
		}
	}
	out := t.TempDir()
	if code, _, stderr := run(t.Context(), cli.Env{}, "inlay", "build", "tool", "dir:"+dir, "-o", out); code != 0 {
		t.Fatal(stderr)
	}
	_, stdout, _ := run(t.Context(), cli.Env{}, "inlay", "inspect", filepath.Join(out, "tool.sysext.raw"), "--list", "--json")
	var report struct {
		Files []struct {
			Path   string
			Xattrs []string
		}
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Files {
		if f.Path == "/usr/bin/tool" && !slices.Equal(f.Xattrs, []string{"user.kept"}) {
			t.Errorf("the file has the attributes %q", f.Xattrs)
		}
	}
}

func TestNamesOfTheProgram(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"inlay": "inlay", "/usr/bin/inlay": "inlay", "inlay-1.0": "inlay",
		"auroraboot": "auroraboot", "/usr/bin/auroraboot": "auroraboot",
	} {
		code, _, stderr := run(t.Context(), cli.Env{}, name, "frobnicate")
		if code != 2 || !strings.HasPrefix(stderr, want+": unknown command \"frobnicate\"\n") {
			t.Errorf("%s: exit code %d: %q", name, code, stderr)
		}
	}
	if code, stdout, _ := run(t.Context(), cli.Env{}); code != 0 || !strings.Contains(stdout, "inlay build") {
		t.Errorf("without even a name: exit code %d: %q", code, stdout)
	}
}

// full is a disk without room.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestResultThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	env := cli.System()
	env.Stdout, env.Stderr = full{}, &stderr
	if code := cli.Main(t.Context(), []string{"inlay", "version"}, env); code != 1 || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("exit code %d: %q", code, stderr.String())
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain größe 🚀":    "plain größe 🚀",
		"\x1b[31mred\x07":  "�[31mred�",
		"two\nlines\ttab":  "two�lines�tab",
		"\u009b31m c1":     "�31m c1",
		"not UTF-8: \xff!": "not UTF-8: �!",
	} {
		if got := cli.Printable(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1024.0 KiB", 64729088: "61.7 MiB", 3 << 40: "3.0 TiB",
	} {
		if got := cli.Size(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"1 file": cli.Count(1, "file"), "0 files": cli.Count(0, "file"), "2 folders": cli.Count(2, "folder"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
