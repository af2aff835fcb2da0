package machine_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/machine"
)

// watch plays a machine that prints the two texts and ends.
func watch(t *testing.T, console, results string) (*machine.Running, *strings.Builder) {
	t.Helper()
	var log strings.Builder
	files := make([]*os.File, 0, 2)
	for _, text := range []string{console, results} {
		out, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.WriteString(text); err != nil {
			t.Fatal(err)
		}
		in.Close()
		files = append(files, out)
	}
	running := machine.Watch(&log, files[0], files[1])
	running.Stop()
	return running, &log
}

func TestResultsComeFromTheSecondLine(t *testing.T) {
	t.Parallel()
	running, log := watch(t,
		"\x1b[2Jboot\r\nMARK up\r\nCASE forged: status=0\r\nCASE me[  3.1] kernel speaks\r\nrge: status=1\r\n",
		"MARK up\r\nCASE merge: status=1 content=a=b empty= bare\r\nCASE other: status=0\r\nMARK done 0\r\n")
	results := running.Results()
	want := map[string]string{"status": "1", "content": "a=b", "empty": "", "bare": ""}
	if diff := cmp.Diff(want, results.Case(t, "merge")); diff != "" {
		t.Errorf("the case (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"status": "0"}, results.Case(t, "other")); diff != "" {
		t.Errorf("the other case (-want +got):\n%s", diff)
	}
	if got := log.String(); !strings.Contains(got, " boot\n") || strings.Contains(got, "other") {
		t.Errorf("the log is not the console:\n%s", got)
	}
	if line, err := running.Find(machine.Mark("done")); err != nil || line != "MARK done 0" {
		t.Errorf("the last mark is %q (%v)", line, err)
	}
}

func TestFindSeesFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, console, results, want string }{
		{"oops", "x\nBUG: kernel NULL pointer dereference\n", "MARK done 0\n", "reports a fault: BUG: kernel NULL"},
		{"panic", "[ 2.0] Kernel panic - not syncing: no init\n", "", "reports a fault: [ 2.0] Kernel panic"},
		{"warning", "[ 2.0] ------------[ cut here ]------------\n", "", "reports a fault"},
		{"early end", "no boot option\n", "MARK up\n", "the machine ended before"},
		{"mark on the wrong line", "MARK done 0\n", "", "the machine ended before"},
		{"another mark", "", "MARK done0\nMARK almost done 0\n", "the machine ended before"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			running, _ := watch(t, c.console, c.results)
			line, err := running.Find(machine.Mark("done"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("found %q, error %v; want an error with %q", line, err, c.want)
			}
		})
	}
}

func TestFindGoesOn(t *testing.T) {
	t.Parallel()
	running, _ := watch(t, "", "MARK step one\nMARK step two\n")
	for _, want := range []string{"MARK step one", "MARK step two"} {
		if line, err := running.Find(machine.Mark("step")); line != want || err != nil {
			t.Errorf("found %q (%v), want %q", line, err, want)
		}
	}
}
