package mount

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Namespace is a mount namespace as one of its processes sees it.
type Namespace struct {
	// Number is the kernel's number for it, Own whether it is the caller's.
	Number uint64
	Own    bool
	// Processes are those in it, the lowest first, at most maxNamed of them.
	Processes []Process
	Mounts    []Info
}

// Process is a running process.
type Process struct {
	PID     int
	Command string // as /proc/PID/comm has it, 15 bytes at most
	// Group is its control group, "/system.slice/ssh.service" for a service of
	// systemd; "" if that isn't known.
	Group string
}

const (
	// maxProcesses bounds a scan of /proc. The kernel's own limit is four
	// million, its default 32768 for each of few cores.
	maxProcesses = 1 << 17
	// maxNamespaces bounds how many lists of mounts are read.
	maxNamespaces = 4096
	// maxNamed bounds the processes that are named for one namespace.
	maxNamed = 16
	// maxSmall bounds the small files of /proc.
	maxSmall = 4096
)

// Survey calls visit for every mount namespace that has a process and can be
// looked into, until it returns false. Processes that end meanwhile are passed
// over; so are, without privileges, those of others.
func Survey(ctx context.Context, visit func(Namespace) bool) error {
	own, err := namespaceOf("thread-self")
	if err != nil {
		return err
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return fmt.Errorf("listing processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxProcesses)
	if err != nil {
		return fmt.Errorf("listing processes: %w", err)
	}
	members := map[uint64][]int{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("listing mount namespaces: %w", err)
		}
		number, err := namespaceOf(name)
		if err == nil && (len(members) < maxNamespaces || members[number] != nil) {
			members[number] = append(members[number], pid)
		}
	}
	for _, number := range sortedByFirst(members) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("listing mount namespaces: %w", err)
		}
		space, found := look(number, members[number])
		space.Own = number == own
		if found && !visit(space) {
			return nil
		}
	}
	return nil
}

// sortedByFirst returns the namespaces in the order of their lowest process.
func sortedByFirst(members map[uint64][]int) []uint64 {
	numbers := make([]uint64, 0, len(members))
	for number, pids := range members {
		slices.Sort(pids)
		numbers = append(numbers, number)
	}
	slices.SortFunc(numbers, func(a, b uint64) int { return cmp.Compare(members[a][0], members[b][0]) })
	return numbers
}

// look reads the mounts of a namespace through the first process that lives.
func look(number uint64, pids []int) (Namespace, bool) {
	space := Namespace{Number: number}
	for _, pid := range pids {
		mounts, err := MountsOf(pid)
		if err != nil || len(mounts) == 0 {
			continue // gone, or a zombie
		}
		space.Mounts = mounts
		break
	}
	if space.Mounts == nil {
		return space, false
	}
	for _, pid := range pids[:min(len(pids), maxNamed)] {
		space.Processes = append(space.Processes, describe(pid))
	}
	return space, true
}

// Holders returns the other mount namespaces in which something of the device
// dev is mounted: those that still see a tree after it was replaced here. Their
// Mounts are reduced to those of dev.
func Holders(ctx context.Context, dev Device) ([]Namespace, error) {
	var holders []Namespace
	err := Survey(ctx, func(space Namespace) bool {
		space.Mounts = slices.DeleteFunc(space.Mounts, func(info Info) bool { return info.Device != dev })
		if !space.Own && len(space.Mounts) > 0 {
			holders = append(holders, space)
		}
		return true
	})
	return holders, err
}

func namespaceOf(process string) (uint64, error) {
	var stat unix.Stat_t
	if err := unix.Stat("/proc/"+process+"/ns/mnt", &stat); err != nil {
		return 0, fmt.Errorf("asking process %s for its mount namespace: %w", process, err)
	}
	return stat.Ino, nil
}

func describe(pid int) Process {
	p := Process{PID: pid}
	p.Command = strings.TrimSpace(small(pid, "comm"))
	for line := range strings.Lines(small(pid, "cgroup")) {
		// The unified hierarchy has the number 0; systemd's own has a name.
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) == 3 && (fields[0] == "0" || fields[1] == "name=systemd") && len(fields[2]) > len(p.Group) {
			p.Group = fields[2]
		}
	}
	return p
}

// small returns a file of a process, "" if it cannot be read.
func small(pid int, name string) string {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/" + name)
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, maxSmall)
	n, err := f.Read(buf)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return string(buf[:n])
}
