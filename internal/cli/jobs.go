package cli

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

const (
	// jobMemory is about what one build takes at most on few processors, in bytes.
	jobMemory = 160 << 20
	// memoryShare is the part of free memory that builds take: one half.
	memoryShare = 2
)

// atOnce is how many images are built at the same time: one for each processor,
// as far as there is memory for them.
func atOnce() int {
	return jobsFor(runtime.GOMAXPROCS(0), freeMemory("/proc/meminfo", "/sys/fs/cgroup/memory.max"))
}

// jobsFor bounds jobs by processors and memory; 0 stands for memory that isn't
// known.
func jobsFor(processors int, memory uint64) int {
	if memory == 0 {
		return processors
	}
	return int(min(uint64(processors), max(memory/memoryShare/jobMemory, 1))) //nolint:gosec // no more than processors
}

// freeMemory returns how much memory there is to take, in bytes: on the machine,
// and below what the group of processes may have; 0 if nothing tells.
func freeMemory(machine, group string) uint64 {
	var free uint64
	if text, err := os.ReadFile(machine); err == nil {
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemAvailable:" {
				kib, err := strconv.ParseUint(fields[1], 10, 50)
				if err == nil {
					free = kib << 10
				}
			}
		}
	}
	if text, err := os.ReadFile(group); err == nil {
		most, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && (free == 0 || most < free) {
			free = most
		}
	}
	return free
}
