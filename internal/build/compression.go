package build

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"inlay/internal/erofs"
	"inlay/internal/hint"
	"inlay/internal/lz4"
)

// Method is how the content of files is compressed in an EROFS.
type Method string

// The methods, the fastest first.
const (
	Uncompressed Method = "none"
	LZ4          Method = "lz4"
	LZ4HC        Method = "lz4hc"
	Zstd         Method = "zstd"
)

// Methods returns all of them.
func Methods() []Method { return []Method{Uncompressed, LZ4, LZ4HC, Zstd} }

// Compression is a method and its level. The zero value is none.
type Compression struct {
	Method Method
	// Level of LZ4HC and Zstd; 0 is the method's default.
	Level int
}

// DefaultCompression is what an image gets unless someone chooses; why it is
// this one stands in docs/building.md.
func DefaultCompression() Compression { return Compression{Method: LZ4} }

// levels returns the lowest, the usual and the highest level of m, or zeros if
// it has none.
func (m Method) levels() (lowest, usual, highest int) {
	switch m {
	case LZ4HC:
		return lz4.MinLevel, lz4.DefaultLevel, lz4.MaxLevel
	case Zstd:
		return 1, 3, 22
	default:
		return 0, 0, 0
	}
}

// ParseCompression reads METHOD or METHOD:LEVEL.
func ParseCompression(text string) (Compression, error) {
	word, number, leveled := strings.Cut(text, ":")
	for _, m := range Methods() {
		if string(m) != word {
			continue
		}
		lowest, usual, highest := m.levels()
		if !leveled {
			return Compression{m, usual}, nil
		}
		if highest == 0 {
			return Compression{}, hint.Wrap(fmt.Errorf("%q has no levels", word), "lz4hc and zstd have")
		}
		level, err := strconv.Atoi(number)
		if err != nil || level < lowest || level > highest {
			return Compression{}, hint.Wrap(fmt.Errorf("%q is no level of %s", number, word), fmt.Sprintf("give %d to %d", lowest, highest))
		}
		return Compression{m, level}, nil
	}
	return Compression{}, hint.Wrap(fmt.Errorf("%q is no compression", text), "choose none, lz4, lz4hc[:LEVEL] or zstd[:LEVEL]")
}

// String is what ParseCompression reads.
func (c Compression) String() string {
	_, usual, _ := c.Method.levels()
	if c.Level == 0 || c.Level == usual {
		return string(cmp.Or(c.Method, Uncompressed))
	}
	return fmt.Sprintf("%s:%d", c.Method, c.Level)
}

// kernel returns the oldest Linux that reads what c makes.
func (c Compression) kernel() erofs.Version {
	switch c.Method {
	case LZ4, LZ4HC:
		return erofs.Version{Major: 5, Minor: 4}
	case Zstd:
		return erofs.Version{Major: 6, Minor: 10}
	default:
		return erofs.Version{}
	}
}

// ParseKernel reads the version of a Linux kernel, such as 6.1.
func ParseKernel(text string) (erofs.Version, error) {
	major, minor, _ := strings.Cut(text, ".")
	v := erofs.Version{}
	var errs [2]error
	v.Major, errs[0] = strconv.Atoi(major)
	v.Minor, errs[1] = strconv.Atoi(minor)
	oldest := erofs.Version{Major: 5, Minor: 4}
	switch {
	case errors.Join(errs[:]...) != nil || v.Major < 0 || v.Minor < 0:
		return v, hint.Wrap(fmt.Errorf("%q is no version of Linux", text), "give its first two numbers, such as 6.1")
	case v.Compare(oldest) < 0:
		return v, hint.Wrap(fmt.Errorf("the EROFS of Linux %s is too old", text), "5.4 is the first that mounts what inlay makes")
	}
	return v, nil
}

// CheckKernel refuses a compression that the chosen Linux doesn't read.
func (o *Options) CheckKernel() error {
	if needed := o.Compression.kernel(); o.Kernel != (erofs.Version{}) && o.Kernel.Compare(needed) < 0 {
		return hint.Wrap(fmt.Errorf("%s takes Linux %s, and --min-kernel says %s", o.Compression.Method, kernelText(needed), kernelText(o.Kernel)),
			"choose --compression lz4 or lz4hc, or a newer --min-kernel")
	}
	return nil
}

// chooseKernel decides which Linux the image is made for, and notes if that is
// a newer one than anybody asked for.
func (b *builder) chooseKernel() error {
	if b.FileSystem != EROFS || b.Kernel != (erofs.Version{}) {
		return b.CheckKernel()
	}
	b.Kernel = erofs.DefaultKernel()
	if needed := b.Compression.kernel(); b.Kernel.Compare(needed) < 0 {
		b.note("%s takes Linux %s or newer: with --compression lz4hc the image would mount on %s, too", b.Compression.Method, kernelText(needed), DefaultKernel())
		b.Kernel = needed
	}
	return nil
}

// DefaultKernel is the oldest Linux that mounts an image unless someone chooses.
func DefaultKernel() string { return kernelText(erofs.DefaultKernel()) }

func kernelText(v erofs.Version) string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }
