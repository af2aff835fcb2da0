package mount

import (
	"fmt"

	"inlay/internal/hint"
)

// Limits of the kernel, all of them compiled in.
const (
	// MaxLayers is how many lower layers an overlay can have (OVL_MAX_STACK).
	MaxLayers = 500
	// MaxDepth is how many file systems can lie on each other that are made of
	// others (FILESYSTEM_MAX_STACK_DEPTH).
	MaxDepth = 2
	// maxString is the longest value that fsconfig(2) takes as a string.
	maxString = 255
	// maxPage is the longest option string of mount(2): a page, which ends in a
	// zero. What is beyond it would be cut off in silence.
	maxPage = 4095
)

// Limit is one of the kernel's limits.
type Limit int

// The limits that a mount can run into.
const (
	Layers Limit = iota + 1
	Depth
	OptionPage
	StringLength
)

// LimitError says that a mount is beyond a limit of the kernel.
type LimitError struct {
	Limit     Limit
	Have, Max int
	// Path is the folder that is too much, or the name of the option, where it is
	// one.
	Path string
}

func (e *LimitError) Error() string {
	switch e.Limit {
	case Layers:
		return fmt.Sprintf("%d layers are more than the %d that an overlay can have", e.Have, e.Max)
	case Depth:
		return fmt.Sprintf("%q is an overlay on an overlay already, and the kernel allows no third (its limit is %d)", e.Path, e.Max)
	case OptionPage:
		return fmt.Sprintf("%d bytes of mount options are more than the %d that this kernel takes", e.Have, e.Max)
	case StringLength:
		return fmt.Sprintf("option %q: its value of %d bytes is longer than the %d that the kernel takes", e.Path, e.Have, e.Max)
	}
	return "beyond a limit of the kernel"
}

// unknownType says that the kernel does not have a file system.
func unknownType(name string, err error) error {
	return hint.Wrap(fmt.Errorf("opening file system %q: %w", name, err),
		fmt.Sprintf("load the kernel module %q, or use a kernel that has it", name))
}
