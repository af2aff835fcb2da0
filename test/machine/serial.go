package machine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the functions mark and result of init.sh begin their lines with.
const (
	markPrefix = "MARK "
	casePrefix = "CASE "
)

// maxLine bounds one line of the serial line; firmware prints screens without line ends.
const maxLine = 1 << 20

// Results is what a machine reported.
type Results struct {
	// Up and End are the times from the start of QEMU to the first and the last mark.
	Up, End time.Duration
	cases   map[string]map[string]string
}

// Case returns the keys and values of the guest's result called name. Without
// one the test fails.
func (r *Results) Case(t testing.TB, name string) map[string]string {
	t.Helper()
	values, ok := r.cases[name]
	if !ok {
		t.Fatalf("the machine reported no case %q", name)
	}
	return values
}

// serial collects the lines of a machine's two serial lines and writes them
// into the log as they come.
type serial struct {
	start   time.Time
	readers sync.WaitGroup

	mu      sync.Mutex
	log     io.Writer
	lines   []line
	fault   string // the first line by which the kernel reports a fault
	late    error  // set when the deadline has passed
	next    int    // where find goes on
	changed chan struct{}
	ended   chan struct{}
}

type line struct {
	at      time.Duration
	text    string
	results bool // of the second serial line
}

func newSerial(log io.Writer) *serial {
	return &serial{
		start: time.Now(), log: log,
		changed: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// read takes lines from the two pipes until QEMU closes them.
func (s *serial) read(console, results *os.File) {
	for _, source := range []struct {
		file    *os.File
		results bool
	}{{console, false}, {results, true}} {
		s.readers.Go(func() {
			defer source.file.Close()
			scanner := bufio.NewScanner(source.file)
			scanner.Buffer(nil, maxLine)
			for scanner.Scan() {
				s.add(scanner.Text(), source.results)
			}
			// An endless line must not stop the machine by filling the pipe.
			io.Copy(io.Discard, source.file)
		})
	}
	go func() {
		s.readers.Wait()
		close(s.ended)
	}()
}

var (
	// escapes are what firmware and systemd send to a terminal.
	escapes = regexp.MustCompile(`\x1b(\[[0-9;=?!]*[a-zA-Z]|c)`)
	// faults are the beginnings of the kernel's reports on itself.
	faults = regexp.MustCompile(`cut here|Oops:|BUG:|general protection fault|Kernel panic`)
)

func (s *serial) add(text string, results bool) {
	text = strings.TrimRight(escapes.ReplaceAllString(text, ""), "\r")
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Since(s.start)
	s.lines = append(s.lines, line{at, text, results})
	if !results { // the guest prints its results on the console too
		fmt.Fprintf(s.log, "%7.2f %s\n", at.Seconds(), text)
		if s.fault == "" && faults.MatchString(text) {
			s.fault = text
		}
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// find returns the next line that match accepts. Marks and cases are taken from
// the second serial line only, all else from the console.
func (s *serial) find(match func(string) bool) (string, error) {
	for {
		text, found := s.scan(match)
		if err := s.err(); err != nil {
			return "", err
		}
		if found {
			return text, nil
		}
		select {
		case <-s.changed:
		case <-s.ended:
			if text, found := s.scan(match); found {
				return text, nil
			}
			if err := s.err(); err != nil {
				return "", err
			}
			return "", errors.New("the machine ended before what the test waits for")
		}
	}
}

func (s *serial) scan(match func(string) bool) (text string, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.next < len(s.lines) {
		l := s.lines[s.next]
		s.next++
		if l.results == reported(l.text) && match(l.text) {
			return l.text, true
		}
	}
	return "", false
}

// expire notes that the deadline has passed.
func (s *serial) expire(deadline time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = fmt.Errorf("the machine's deadline of %v has passed", deadline)
}

// err returns what went wrong with the machine so far.
func (s *serial) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != "" {
		return fmt.Errorf("the machine's kernel reports a fault: %s", s.fault)
	}
	return s.late
}

func reported(text string) bool {
	return strings.HasPrefix(text, markPrefix) || strings.HasPrefix(text, casePrefix)
}

func (s *serial) results() *Results {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &Results{cases: map[string]map[string]string{}}
	for _, l := range s.lines {
		if !l.results {
			continue
		}
		if strings.HasPrefix(l.text, markPrefix) {
			r.End = l.at
			if r.Up == 0 {
				r.Up = l.at
			}
			continue
		}
		name, rest, found := strings.Cut(strings.TrimPrefix(l.text, casePrefix), ": ")
		if !found || !strings.HasPrefix(l.text, casePrefix) {
			continue
		}
		values := map[string]string{}
		for field := range strings.FieldsSeq(rest) {
			key, value, _ := strings.Cut(field, "=")
			values[key] = value
		}
		r.cases[name] = values
	}
	return r
}

// wait returns when both pipes are closed.
func (s *serial) wait() { <-s.ended }

// tail returns the last n lines of the console.
func (s *serial) tail(n int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text []string
	for _, l := range s.lines {
		if !l.results {
			text = append(text, fmt.Sprintf("%7.2f %s", l.at.Seconds(), l.text))
		}
	}
	return text[max(0, len(text)-n):]
}
