//go:build bench

package bench_test

import (
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"inlay/test/sample"
)

// listed is how many images the store has.
const listed = 500

// TestList measures the whole process of a list of a large store, whose images
// are a gigabyte each. BenchmarkList of internal/node measures what the process
// does but for its start, and sees that it reads records only.
func TestList(t *testing.T) {
	program, root := newTools(t).inlay(), sample.Store(t, listed)
	var text strings.Builder
	fmt.Fprintf(&text, "\n### Listing\n\nMinimum / median of 20 runs on a store of %d images. %d processors (%s), load %s before.\n\n",
		listed, runtime.NumCPU(), runtime.Version(), load(t))
	text.WriteString("| | wall ms | CPU ms | peak MiB |\n|---|---|---|---|\n")
	for _, args := range [][]string{{"sysext", "list"}, {"sysext", "list", "--json"}, {"sysext", "list", "--active"}, {"version"}} {
		var wall, processor, memory []float64
		for range 20 {
			c := exec.CommandContext(t.Context(), program, args...)
			if args[0] == "sysext" {
				c.Args = append(c.Args, "--root", root)
			}
			start := time.Now()
			out, err := c.Output()
			wall = append(wall, float64(time.Since(start).Microseconds())/1e3)
			if err != nil {
				t.Fatalf("%v: %v", args, err)
			}
			if n := strings.Count(string(out), "app"); args[0] == "sysext" && n < listed/2 {
				t.Fatalf("%v shows %d images:\n%s", args, n, out)
			}
			usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
			if !ok {
				t.Fatal("the system tells nothing of what a process used")
			}
			used := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
			processor, memory = append(processor, float64(used.Microseconds())/1e3), append(memory, float64(usage.Maxrss)/1024)
		}
		fmt.Fprintf(&text, "| inlay %s |", strings.Join(args, " "))
		for _, all := range [][]float64{wall, processor, memory} {
			fmt.Fprintf(&text, " %.1f / %.1f |", slices.Min(all), median(all))
		}
		text.WriteString("\n")
	}
	report(t, text.String())
}
