package mount

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Info is one mount of a namespace, a line of proc_pid_mountinfo(5).
type Info struct {
	// ID and Parent are numbers of mounts. The parent of the first mount is not
	// listed, nor are those outside of the reader's root folder.
	ID, Parent int
	Device     Device
	// Root is the folder of the file system that is mounted, MountPoint is where,
	// below the reader's root.
	Root, MountPoint string
	// Options are of this mount ("ro,nodev"), Super of its file system.
	Options, Super string
	Propagation    Propagation
	Type, Source   string
}

// Propagation says in which other places mounts below a mount appear, too. The
// zero value is private.
type Propagation struct {
	// Shared is the group of mounts that share theirs with each other, 0 for
	// none; Master is the group that it receives from without giving back.
	Shared, Master int
	// From is the nearest group above Master that the reader can see.
	From int
	// Unbindable mounts are private, and no clone takes them along.
	Unbindable bool
}

// String returns the word that findmnt(8) has for it.
func (p Propagation) String() string {
	switch {
	case p.Unbindable:
		return "unbindable"
	case p.Shared != 0 && p.Master != 0:
		return "shared,slave"
	case p.Shared != 0:
		return "shared"
	case p.Master != 0:
		return "slave"
	}
	return "private"
}

// maxMounts bounds the list of mounts, in bytes. The kernel allows a hundred
// thousand mounts in a namespace, of some 150 bytes each; one overlay of 500
// layers can have a megabyte.
const maxMounts = 64 << 20

// Mounts returns the mounts of the caller's mount namespace, as far as its root
// folder shows them.
func Mounts() ([]Info, error) { return mountsOf("thread-self") }

// MountsOf returns the mounts that process pid sees.
func MountsOf(pid int) ([]Info, error) { return mountsOf(strconv.Itoa(pid)) }

func mountsOf(process string) ([]Info, error) {
	f, err := os.Open("/proc/" + process + "/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	defer f.Close()
	return ParseInfo(f)
}

// ParseInfo reads a list of mounts. A line that is not understood is an error.
func ParseInfo(r io.Reader) ([]Info, error) {
	limited := &io.LimitedReader{R: r, N: maxMounts + 1}
	lines := bufio.NewReaderSize(limited, 1<<16)
	var mounts []Info
	for {
		line, err := lines.ReadString('\n')
		if limited.N <= 0 {
			return nil, fmt.Errorf("listing mounts: more than %d bytes of them", maxMounts)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("listing mounts: %w", err)
		}
		if line != "" {
			info, parseErr := parseLine(strings.TrimSuffix(line, "\n"))
			if parseErr != nil {
				return nil, fmt.Errorf("listing mounts: line %d: %w", len(mounts)+1, parseErr)
			}
			mounts = append(mounts, info)
		}
		if errors.Is(err, io.EOF) {
			return mounts, nil
		}
	}
}

func parseLine(line string) (Info, error) {
	fields := strings.Split(line, " ")
	dash := -1
	for i := 6; i < len(fields); i++ {
		if fields[i] == "-" {
			dash = i
			break
		}
	}
	if dash < 0 || len(fields) != dash+4 {
		return Info{}, fmt.Errorf("%d fields in no order that is known", len(fields))
	}
	var info Info
	var errs [3]error
	info.ID, errs[0] = strconv.Atoi(fields[0])
	info.Parent, errs[1] = strconv.Atoi(fields[1])
	info.Device, errs[2] = parseDevice(fields[2])
	if err := errors.Join(errs[:]...); err != nil {
		return Info{}, err
	}
	info.Options = fields[5]
	for _, field := range fields[6:dash] {
		if err := info.Propagation.add(field); err != nil {
			return Info{}, err
		}
	}
	for _, text := range []struct {
		to   *string
		from string
	}{
		{&info.Root, fields[3]},
		{&info.MountPoint, fields[4]},
		{&info.Type, fields[dash+1]},
		{&info.Source, fields[dash+2]},
		{&info.Super, fields[dash+3]},
	} {
		var err error
		if *text.to, err = unescape(text.from); err != nil {
			return Info{}, err
		}
	}
	return info, nil
}

// add notes one optional field. There may be new ones one day.
func (p *Propagation) add(field string) error {
	word, value, _ := strings.Cut(field, ":")
	var to *int
	switch word {
	case "shared":
		to = &p.Shared
	case "master":
		to = &p.Master
	case "propagate_from":
		to = &p.From
	case "unbindable":
		p.Unbindable = true
		return nil
	default:
		return nil
	}
	group, err := strconv.Atoi(value)
	if err != nil {
		return fmt.Errorf("propagation %q: %w", field, err)
	}
	*to = group
	return nil
}

func parseDevice(text string) (Device, error) {
	major, minor, _ := strings.Cut(text, ":")
	a, err := strconv.ParseUint(major, 10, 32)
	if err != nil {
		return Device{}, fmt.Errorf("device %q: %w", text, err)
	}
	b, err := strconv.ParseUint(minor, 10, 32)
	if err != nil {
		return Device{}, fmt.Errorf("device %q: %w", text, err)
	}
	return Device{uint32(a), uint32(b)}, nil
}

// unescape turns \040 and the like, which stand for characters that would break
// the format, back into them.
func unescape(text string) (string, error) {
	if !strings.Contains(text, `\`) {
		return text, nil
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, `\`)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if len(after) < 3 {
			return "", fmt.Errorf("%q ends in half a character", text)
		}
		c, err := strconv.ParseUint(after[:3], 8, 8)
		if err != nil {
			return "", fmt.Errorf("%q is no character: %w", after[:3], err)
		}
		b.WriteByte(byte(c))
		text = after[3:]
	}
}
