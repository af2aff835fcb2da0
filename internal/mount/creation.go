package mount

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// creation is a file system that is being configured: fsopen(2).
type creation struct {
	fd   int
	name string
}

// beginCreation begins a file system of the type name.
func beginCreation(name string) (*creation, error) {
	fd, err := unix.Fsopen(name, unix.FSOPEN_CLOEXEC)
	if errors.Is(err, unix.ENODEV) {
		return nil, unknownType(name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening file system %q: %w", name, err)
	}
	return &creation{fd: fd, name: name}, nil
}

func (c *creation) close() { _ = unix.Close(c.fd) }

// set sets an option: "key=value", or a word.
func (c *creation) set(option string) error {
	key, value, isPair := strings.Cut(option, "=")
	var err error
	switch {
	case !isPair:
		err = unix.FsconfigSetFlag(c.fd, key)
	case len(value) > maxString:
		return &LimitError{Limit: StringLength, Have: len(value), Max: maxString, Path: key}
	default:
		err = unix.FsconfigSetString(c.fd, key, value)
	}
	return c.explain(fmt.Sprintf("setting option %q", option), err)
}

// mount makes the file system and a mount of it that is attached nowhere.
func (c *creation) mount(flags Flags) (*os.File, error) {
	if err := unix.FsconfigCreate(c.fd); err != nil {
		return nil, c.explain("creating it", err)
	}
	fd, err := unix.Fsmount(c.fd, unix.FSMOUNT_CLOEXEC, int(flags.attributes()))
	if err != nil {
		return nil, c.explain("mounting it", err)
	}
	return os.NewFile(uintptr(fd), c.name), nil
}

// maxMessages bounds the kernel's messages about one file system: its queue
// holds eight of them.
const maxMessages = 8

// explain adds what the kernel says about the file system to err.
func (c *creation) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var said []string
	buf := make([]byte, 1024)
	for range maxMessages {
		n, err := unix.Read(c.fd, buf)
		if err != nil {
			break
		}
		// "e overlay: No changes allowed in reconfigure"
		if text := strings.TrimSpace(string(buf[:n])); len(text) > 2 && text[0] == 'e' {
			said = append(said, text[2:])
		}
	}
	if len(said) == 0 {
		return fmt.Errorf("file system %q: %s: %w", c.name, doing, err)
	}
	return fmt.Errorf("file system %q: %s: %w (%s)", c.name, doing, err, strings.Join(said, "; "))
}
