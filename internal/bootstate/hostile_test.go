package bootstate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/sys/unix"

	"inlay/internal/bootstate"
)

// TestUnreadableCommandLine: without it nothing could be told, not even whether
// it was a trusted boot, so no answer is given.
func TestUnreadableCommandLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		make func(path string) error
		want string
	}{
		{"huge", func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("x", 64<<10)+" rd.immucore.uki"), 0o644)
		}, "too large"},
		{"FIFO", func(path string) error { return unix.Mkfifo(path, 0o644) }, "no regular file"},
		{"folder", func(path string) error { return os.Mkdir(path, 0o755) }, "no regular file"},
		{"link outside", func(path string) error { return os.Symlink("/proc/cmdline", path) }, "escapes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := root(t, files{"proc/": ""}.and(run("active_mode")))
			if err := test.make(filepath.Join(r.Name(), "proc/cmdline")); err != nil {
				t.Fatal(err)
			}
			report, err := bootstate.Detect(r)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "reading the kernel's command line: ") {
				t.Errorf("got %+v, %v; want an error with %q", report, err, test.want)
			}
		})
	}
	if _, err := bootstate.Detect(nil); err == nil {
		t.Error("no root, and no error")
	}
}

// TestLongestCommandLine reads to the last word.
func TestLongestCommandLine(t *testing.T) {
	t.Parallel()
	const word = " COS_PASSIVE"
	if r := detect(t, cmdline(strings.Repeat("x", 64<<10-len(word))+word)); r.State != bootstate.Passive {
		t.Errorf("got %+v", r)
	}
}

// TestLinksInRun: a link that leads outside is no file of the boot.
func TestLinksInRun(t *testing.T) {
	t.Parallel()
	r := root(t, files{"run/cos/": ""})
	if err := os.Symlink("/etc/passwd", filepath.Join(r.Name(), "run/cos/active_mode")); err != nil {
		t.Fatal(err)
	}
	report, err := bootstate.Detect(r)
	if err != nil || report.State != bootstate.Unknown {
		t.Errorf("got %+v, %v", report, err)
	}
}

// check holds a report to what its documentation says.
func check(t *testing.T, r *bootstate.Report) {
	t.Helper()
	if r.Profile != r.State.Profile() || (r.Decided == "") != (r.State == bootstate.Unknown) {
		t.Fatalf("got %+v", r)
	}
	texts := append([]string{r.Decided}, r.Conflicts...)
	for _, s := range r.Steps {
		texts = append(texts, s.Source, s.Found, s.Conclusion)
	}
	for _, text := range texts {
		if len(text) > 1000 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("not fit to be shown: %q", text)
		}
	}
	if len(r.Steps) > 30 {
		t.Fatalf("%d steps", len(r.Steps))
	}
}

func FuzzCommandLine(f *testing.F) {
	f.Add("root=LABEL=COS_ACTIVE", "active.conf")
	f.Add(uki, "active+3.conf")
	f.Add("kairos.ram kairos.reset COS_PASSIVE COS_RECOVERY live:LABEL netboot", "statereset+2-1")
	f.Add("rd.immucore.uki\x1b[2J\x00\xff", "passive\u202e\U0001f427")
	f.Fuzz(func(t *testing.T, line, name string) {
		r, err := bootstate.Detect(root(t, cmdline(line).and(entry(name), opened())))
		if err != nil {
			if len(line) <= 64<<10 {
				t.Fatal(err)
			}
			return
		}
		check(t, r)
		if strings.Contains(line, "rd.immucore.uki") != r.UKI || r.TrustedBoot {
			t.Fatalf("got %+v", r)
		}
	})
}

func FuzzEntryState(f *testing.F) {
	for _, name := range []string{"active.conf", "active+3.conf", "passive+2-1", "recovery_x.conf", "statereset", "\xff", "İactive"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if state := bootstate.EntryState(name); state != bootstate.Unknown && state.Profile() == "" {
			t.Fatalf("%q is %s", name, state)
		}
	})
}
