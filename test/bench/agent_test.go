//go:build bench

package bench_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// agentVariable makes this test binary, started again inside the Debian root,
// the agent: it starts the commands itself, so that no namespace, shell or
// wrapper is in their figures.
const agentVariable = "INLAY_BENCH_AGENT"

// job is what the agent does for one line of input.
type job struct {
	Folder   string     // made anew before the commands and not timed
	Commands [][]string // timed, one after the other
	Env      []string   // besides the agent's own
	Outputs  []string   // what they make
	Clean    bool       // removes Folder instead of running anything
}

// run is what the agent measured of one job.
type run struct {
	Wall     time.Duration // from the first start to the last end
	CPU      time.Duration // user and system, of all processes
	RSS      int64         // bytes, of the largest process
	Floor    int64         // bytes of RSS below which it cannot tell
	Written  int64         // bytes given to write calls; -1 if the kernel doesn't count
	ToDisk   int64         // bytes sent to a disk
	Size     int64         // of the outputs together
	Digest   string        // of the outputs
	Failure  string        // what a command said when it failed; all else is void
	Warnings string        // standard error of commands that succeeded
}

// serve is the agent's life.
func serve(in io.Reader, out io.Writer) int {
	jobs, runs := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var j job
		if err := jobs.Decode(&j); err == io.EOF {
			return 0
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			return 1
		}
		r, err := j.do()
		if err != nil {
			r.Failure = err.Error()
		}
		if err := runs.Encode(r); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			return 1
		}
	}
}

func (j job) do() (r run, err error) {
	if err := os.RemoveAll(j.Folder); err != nil || j.Clean {
		return r, err
	}
	if err := os.MkdirAll(j.Folder, 0o755); err != nil {
		return r, err
	}
	// What contenders before this one left to be written is not its business.
	if err := settle(j.Folder); err != nil {
		return r, err
	}
	start := time.Now()
	for _, argv := range j.Commands {
		if err := r.measure(argv, j.Env); err != nil {
			return r, err
		}
	}
	r.Wall = time.Since(start)
	r.Floor = peak()
	for _, name := range j.Outputs {
		size, digest, err := weigh(name)
		if err != nil {
			return r, err
		}
		r.Size += size
		r.Digest += digest
	}
	return r, nil
}

// measure adds what one command costs to r.
func (r *run) measure(argv, env []string) error {
	var text bytes.Buffer
	log, err := os.CreateTemp("", "")
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	c := exec.Command(argv[0], argv[1:]...)
	c.Env = append(os.Environ(), env...)
	// A file, not a pipe: nobody here has to run to empty it.
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		return err
	}
	// The dead process is asked for its counts before it is forgotten.
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, c.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			break
		}
	}
	written := wchar(c.Process.Pid)
	err = c.Wait()
	if _, seekErr := log.Seek(0, io.SeekStart); seekErr == nil {
		io.Copy(&text, log)
	}
	if err != nil {
		return fmt.Errorf("%q: %w\n%s", argv, err, text.String())
	}
	usage := c.ProcessState.SysUsage().(*syscall.Rusage) //nolint:errcheck,forcetypeassert // it is that on Linux
	r.CPU += c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	r.RSS = max(r.RSS, usage.Maxrss<<10)
	r.ToDisk += usage.Oublock * 512
	if written < 0 || r.Written < 0 {
		r.Written = -1
	} else {
		r.Written += written
	}
	r.Warnings += text.String()
	return nil
}

// wchar returns the bytes that a process and the children that it waited for
// gave to write calls, -1 if the kernel does not say.
func wchar(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "wchar: "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}

// peak returns this process's own peak of resident memory. Linux counts it for
// each process that it starts: theirs cannot be seen below.
func peak() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Maxrss << 10
}

func settle(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// weigh returns the size of a file, in bytes, and its SHA-256.
func weigh(path string) (size int64, digest string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return size, hex.EncodeToString(h.Sum(nil)), err
}
