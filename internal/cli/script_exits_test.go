package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdExits is "exits CODE PROGRAM ARGUMENT...": the program ends with that
// code. If the code isn't 0 the failure is held to what all failures promise:
// one line that says what is wrong, a hint, nothing on standard output, and not
// one file made, changed or left anywhere.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENT...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	before := snapshot(ts)
	err = ts.Exec(args[1], args[2:]...)
	if got := codeOf(ts, err); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	if want != 0 {
		f := failure{program: args[1], code: want, stdout: ts.ReadFile("stdout"), stderr: ts.ReadFile("stderr")}
		f.check(ts, asksForJSON(args), before)
	}
}

// asksForJSON says whether a program is asked for JSON, errors included.
func asksForJSON(args []string) bool {
	return slices.ContainsFunc(args, func(word string) bool {
		return word == "--json" || !strings.HasPrefix(args[1], "systemd-") && (word == "--json=pretty" || word == "--json=short")
	})
}

// cmdInterrupt is "interrupt REGISTRY PROGRAM ARGUMENT...": once the registry
// holds back a blob, the program gets a SIGINT, and must end with code 130 as
// a failure does.
func cmdInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupt REGISTRY PROGRAM ARGUMENT...")
	}
	r := registryNamed(ts, args[0])
	before := snapshot(ts)
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	c := exec.Command(path, args[2:]...)
	c.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "DOCKER_HOST", "GOCOVERDIR"} {
		c.Env = append(c.Env, name+"="+ts.Getenv(name))
	}
	var stdout, stderr strings.Builder
	c.Stdout, c.Stderr = &stdout, &stderr
	ts.Check(c.Start())
	select {
	case <-r.stalled:
	case <-time.After(30 * time.Second):
		ts.Logf("%s", stderr.String())
		ts.Fatalf("the program never asked for the blob")
	}
	ts.Check(c.Process.Signal(os.Interrupt))
	err = c.Wait()
	_, _ = ts.Stdout().Write([]byte(stdout.String()))
	_, _ = ts.Stderr().Write([]byte(stderr.String()))
	const interrupted = 130
	if got := codeOf(ts, err); got != interrupted {
		ts.Fatalf("exit code %d, want %d\n%s", got, interrupted, stderr.String())
	}
	f := failure{program: args[1], code: interrupted, stdout: stdout.String(), stderr: stderr.String()}
	f.check(ts, slices.Contains(args, "--json"), before)
}

func codeOf(ts *testscript.TestScript, err error) int {
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		ts.Fatalf("running it: %v", err)
	}
	return exit.ExitCode()
}

// failure is what a program that failed wrote.
type failure struct {
	program, stdout, stderr string
	code                    int
}

func (f failure) check(ts *testscript.TestScript, asJSON bool, before map[string]string) {
	if f.stdout != "" {
		ts.Fatalf("a failure writes to standard output: %q", f.stdout)
	}
	if strings.Contains(f.stderr, "goroutine ") || strings.Contains(f.stderr, "panic:") {
		ts.Fatalf("it panics")
	}
	if asJSON {
		ts.Check(f.checkObject())
	} else {
		ts.Check(f.checkLines())
	}
	if diff := cmp.Diff(before, snapshot(ts)); diff != "" {
		ts.Fatalf("a failure leaves traces (-before +after):\n%s", diff)
	}
}

// otherLine is what may stand on standard error beside an error: progress,
// warnings, notes, and auroraboot's log.
var otherLine = regexp.MustCompile(`^(reading layers|packing( the initrd)?|(verifying|building|filling|writing) the [a-zA-Z ]+|(warning|note): .*|\S+ INF .*)$`)

func (f failure) checkLines() error {
	program := f.program
	if program == "sh" {
		program = "inlay"
	}
	var messages, hints int
	for line := range strings.Lines(f.stderr) {
		line = strings.TrimSuffix(line, "\n")
		switch rest, ours := strings.CutPrefix(line, program+": "); {
		case ours && strings.HasPrefix(rest, "hint: "):
			hints++
		case ours:
			messages++
			for _, bad := range []string{"failed to", "error:", "EOF\n", "<nil>", "%!", "\ufffd"} {
				if strings.Contains(rest, bad) {
					return fmt.Errorf("the message says %q", bad)
				}
			}
		case !otherLine.MatchString(line):
			return fmt.Errorf("a line on standard error belongs to nothing: %q", line)
		}
	}
	if messages != 1 {
		return fmt.Errorf("%d messages, want one line that begins with %q", messages, program+": ")
	}
	// Whoever interrupts knows what to do next.
	if hints == 0 && f.code != 130 {
		return errors.New("the failure comes without a hint")
	}
	return nil
}

func (f failure) checkObject() error {
	var report struct {
		Error    string
		Hints    []string
		ExitCode int
	}
	d := json.NewDecoder(strings.NewReader(f.stderr))
	d.DisallowUnknownFields()
	if err := d.Decode(&report); err != nil {
		return fmt.Errorf("standard error is not the JSON of an error: %w: %s", err, f.stderr)
	}
	if report.Error == "" || report.ExitCode != f.code || len(report.Hints) == 0 && f.code != 130 {
		return fmt.Errorf("the JSON of the error says %+v, want code %d and a hint", report, f.code)
	}
	return nil
}

// snapshot describes every file below the script's folder by size, mode and
// time; folders by their names, as a temporary file is no trace once it is gone.
func snapshot(ts *testscript.TestScript) map[string]string {
	files := map[string]string{}
	work := ts.Getenv("WORK")
	ts.Check(filepath.WalkDir(work, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		// A lock says who held it last, a report when it was written.
		if info.Mode().IsRegular() && !strings.HasSuffix(path, "/.inlay/lock") && !strings.Contains(path, "/run/inlay/layer-") {
			text += fmt.Sprintf(" %d bytes, %v", info.Size(), info.ModTime())
		}
		files[path] = text
		return nil
	}))
	return files
}
