// Package machine boots virtual machines for tests: a real Debian kernel with
// device-mapper and Secure Boot, emulated by QEMU in software, in seconds. A
// script from the test runs as PID 1's only job and reports through the serial
// line; the harness watches it, ends the machine and keeps the log.
//
// As many machines run at a time as there are processors, also over several test
// binaries, since each keeps one busy. KVM is not used: where the tests run it is often there but
// not fit for a stock kernel. Left out so far: other architectures than amd64.
package machine

import (
	"context"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"inlay/test/debian"
)

// defaultDeadline is some five times what boot and the longest script take. On two
// cores at a load of 20 that was over two minutes.
const defaultDeadline = 5 * time.Minute

// Machine says what to boot. Disks are left as they are, unless Keep is set.
type Machine struct {
	// Root is an ext4 image whose PID 1 is [Init], as [RootImage] makes it; "" if
	// what Firmware boots brings its own system.
	Root string
	// Initrd is the initial RAM disk of a machine without Firmware, "" if it needs none.
	Initrd string
	// Disks come after the root, each found in the machine by its serial.
	Disks []Disk
	// Firmware boots the machine with Secure Boot; without it QEMU starts the
	// kernel directly.
	Firmware *Firmware
	// TPM gives the machine a new TPM 2.0, emulated by swtpm. Firmware measures
	// what it boots into it.
	TPM bool
	// Reboots says that a machine without Firmware may start anew, its disks as it has
	// left them; otherwise it ends there.
	Reboots bool
	// Arguments are added to the kernel's command line. Under Secure Boot the
	// signed kernel image has its own, see [UKI].
	Arguments []string
	// Deadline ends the machine and fails the test. Zero: five minutes.
	Deadline time.Duration
}

// Disk is an image that the machine sees as /dev/vd*, its serial in
// /sys/block/vd*/serial.
type Disk struct {
	Path, Serial string
	// Keep lets the machine's writes through to the image.
	Keep bool
}

// Payload returns the disk that [Init] looks for: an ext4 image of folder, in
// which run.sh is the script to run. Its shell functions mark and result report
// to the harness.
func Payload(t testing.TB, folder string) Disk {
	t.Helper()
	return Disk{Path: Ext4(t, folder), Serial: "payload"}
}

// Run boots m, waits for the end of its script, stops it and returns what it
// reported. It fails the test if the script does not end with status 0, if the
// kernel reports a fault of its own, or when the deadline passes.
func Run(t testing.TB, m Machine) *Results {
	t.Helper()
	running := Start(t, m)
	status := running.Wait(t, Mark("done"))
	running.Stop()
	results := running.Results()
	if err := running.serial.err(); err != nil { // seen after the mark
		t.Error(err)
	}
	if status != "MARK done 0" {
		t.Errorf("the machine's script ended with %q", status)
	}
	t.Logf("machine up after %.1f s, done after %.1f s; log in %s",
		results.Up.Seconds(), results.End.Seconds(), running.log)
	return results
}

// Running is a machine between Start and Stop.
type Running struct {
	serial  *serial
	log     string
	stop    func()
	stopped bool
}

// Start boots m and returns at once, after waiting for other machines to end.
// The machine is stopped when the test ends, if not before.
func Start(t testing.TB, m Machine) *Running {
	t.Helper()
	tools := debian.Tools(t)
	arguments, binds := m.qemu(t)
	// Kept with the test's artifacts, whose folders have numbers for names; a
	// test may boot several machines.
	file, err := os.CreateTemp(t.ArtifactDir(), strings.ReplaceAll(t.Name(), "/", "-")+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := debian.LockOne("running", runtime.NumCPU())
	if err != nil {
		t.Fatal(err)
	}

	deadline := m.Deadline
	if deadline == 0 {
		deadline = defaultDeadline
	}
	// Not the test's own context: that ends before its cleanups begin.
	ctx, cancel := context.WithCancel(context.Background())
	argv := append([]string{"qemu-system-x86_64"}, arguments...)
	if m.TPM {
		argv = withTPM(argv)
	}
	command := tools.Command(ctx, t, binds, argv...)
	lines := newSerial(file)
	consoleOut, consoleIn := pipe(t)
	resultsOut, resultsIn := pipe(t)
	command.Stdout, command.Stderr = consoleIn, consoleIn
	command.ExtraFiles = []*os.File{resultsIn} // resultsDescriptor
	if err := command.Start(); err != nil {
		t.Fatalf("starting QEMU: %v", err)
	}
	consoleIn.Close()
	resultsIn.Close()
	lines.read(consoleOut, resultsOut)
	timer := time.AfterFunc(deadline, func() {
		lines.expire(deadline)
		cancel()
	})

	log := file.Name()
	running := &Running{serial: lines, log: log}
	running.stop = func() {
		timer.Stop()
		cancel()
		command.Wait() // killed: its status says nothing
		lines.wait()
		file.Close()
		unlock()
	}
	t.Cleanup(func() {
		running.Stop()
		if t.Failed() {
			t.Logf("the last lines of %s:\n%s", log, strings.Join(lines.tail(tailLines), "\n"))
		}
	})
	return running
}

// tailLines is how much of the console a failed test shows.
const tailLines = 60

// Wait waits for a line that match accepts, beginning after the one that the
// last Wait found, and returns it. It fails the test if the kernel reports a
// fault, or if the machine ends or the deadline passes first.
func (r *Running) Wait(t testing.TB, match func(line string) bool) string {
	t.Helper()
	line, err := r.serial.find(match)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// Stop kills the machine, as a power cut would, and waits until it is gone.
func (r *Running) Stop() {
	if !r.stopped {
		r.stopped = true
		r.stop()
	}
}

// Results returns what the machine has reported so far.
func (r *Running) Results() *Results { return r.serial.results() }

// Mark matches the line that the guest's function mark prints for word.
func Mark(word string) func(line string) bool {
	want := markPrefix + word
	return func(line string) bool { return line == want || strings.HasPrefix(line, want+" ") }
}

func pipe(t testing.TB) (out, in *os.File) {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return out, in
}
