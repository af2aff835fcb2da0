package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"inlay/internal/content"
	"inlay/internal/ddi"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/trust"
	"inlay/internal/verity"
)

// Depth is how much of the data is read.
type Depth string

// The depths. The zero Depth is Full.
const (
	Full Depth = "full" // every block
	Top  Depth = "top"  // the top of the hash tree, and what is read of the file system
)

// Options say by what to judge. The zero value trusts nobody, asks for a
// signature and reads everything.
type Options struct {
	Anchors *trust.Set // nil trusts nobody
	Policy  trust.Policy
	Depth   Depth
	// Now is the time that RequireValidDates compares with.
	Now               time.Time
	RequireValidDates bool
	// Brief leaves the findings out, for callers who look at every file themselves.
	Brief bool
	// Host asks whether this host takes the extension; nil doesn't.
	Host *extension.Host
	// Workers that hash; 0 means one for each processor.
	Workers int
	// Progress is told how many bytes of data have been checked, of how many;
	// one call at a time.
	Progress func(done, total int64)
}

// Run gives the verdict on s. The error is that of ctx, or that s is empty:
// whatever else goes wrong is the verdict.
func Run(ctx context.Context, s *Subject, o Options) (*Verdict, error) {
	if s.Image == nil && s.Folder == nil {
		return nil, fmt.Errorf("verifying %q: neither an image nor a folder", s.Path)
	}
	if o.Anchors == nil {
		o.Anchors = new(trust.Set)
	}
	if o.Depth == "" {
		o.Depth = Full
	}
	c := &course{
		subject: s, options: o,
		verdict: &Verdict{
			Path: s.Path, Size: s.Size, Result: Unreadable,
			Policy: o.Policy.String(), Depth: o.Depth, Protection: Unprotected,
		},
	}
	c.medium = c.noting(s.Image)
	defer c.close()
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	return c.verdict, nil
}

// close lets go of the folder that was looked at.
func (c *course) close() {
	if c.tree != nil {
		_ = c.tree.Close() // it was only read
	}
}

// Unopened is the verdict on an extension that could not even be opened.
func Unopened(path string, o Options, err error) *Verdict {
	if o.Depth == "" {
		o.Depth = Full
	}
	c := &course{options: o, verdict: &Verdict{Path: path, Policy: o.Policy.String(), Depth: o.Depth, Protection: Unprotected}}
	for _, s := range c.steps() {
		c.verdict.Checks = append(c.verdict.Checks, Check{Check: s.name, State: Skipped})
	}
	result := Unreadable
	if errors.Is(err, fs.ErrNotExist) {
		result = Missing
	}
	c.refuse(CheckTable, result, err)
	if at, ok := errors.AsType[*fs.PathError](err); ok && at.Path == path {
		// Who reads the verdict knows the path.
		c.verdict.Refusal.Reason = at.Err.Error()
		c.verdict.Checks[0].Found = c.verdict.Refusal.Reason
	}
	return c.verdict
}

// course is one run of the checks over one subject.
type course struct {
	subject *Subject
	options Options
	verdict *Verdict
	medium  io.ReaderAt           // the image
	failing atomic.Pointer[error] // the first that reading gave
	wrong   atomic.Pointer[error] // the first that the hash tree gave

	image  *ddi.Image // nil if it is no disk image
	volume volume
	used   trust.Found   // what the policy leaves in use of it
	tree   *content.Tree // the files; nil if they cannot be read
	found  []release     // the release files that fit
}

// volume is the file system and what protects it, wherever they were found.
type volume struct {
	designator       string
	readOnly, growFS bool
	mixed            bool // hash tree or signature have other flags
	data             io.ReaderAt
	size             int64 // of the data partition, in bytes
	hash             io.ReaderAt
	super            verity.Superblock
	root             [verity.DigestSize]byte
	protected        bool // super and root are set
	claims           []claim
	deferred         bool // there is a place for a signature, and none in it
	fileSystem       string
	fileSystemSize   int64 // in bytes, as the file system says; 0 if unknown
}

// step is one check: what it found, or why it refuses.
type step struct {
	name Name
	do   func(context.Context) (State, string, error)
}

func (c *course) steps() []step {
	steps := []step{
		{CheckTable, c.checkTable},
		{CheckSuperblock, c.checkSuperblock},
		{CheckRootHash, c.checkRootHash},
		{CheckDenyList, c.checkDenyList},
		{CheckSignature, c.checkSignature},
		{CheckPolicy, c.checkPolicy},
		{CheckTree, c.checkTree},
		{CheckRelease, c.checkRelease},
		{CheckArchitecture, c.checkArchitecture},
	}
	if c.options.Host != nil {
		steps = append(steps, step{CheckHost, c.checkHost})
	}
	return steps
}

func (c *course) run(ctx context.Context) error {
	v := c.verdict
	for _, s := range c.steps() {
		if v.Refusal != nil {
			v.Checks = append(v.Checks, Check{Check: s.name, State: Skipped})
			continue
		}
		state, found, err := s.do(ctx)
		if ctxErr := ctx.Err(); ctxErr != nil {
			return ctxErr
		}
		// What the check stumbled over, or passed over, may be the medium's
		// fault, or a block that the hash tree doesn't know.
		name, result := s.name, Refused
		switch failing, wrong := c.failing.Load(), c.wrong.Load(); {
		case failing != nil:
			result, err = Unreadable, *failing
		case wrong != nil:
			name, err = CheckTree, blockError(*wrong)
		case err == nil:
			v.Checks = append(v.Checks, Check{s.name, state, found})
			continue
		case name == CheckHost:
			result = Incompatible
		}
		v.Checks = append(v.Checks, Check{s.name, Failed, err.Error()})
		c.refuse(name, result, err)
	}
	if v.Refusal == nil {
		v.Result = Good
	}
	if v.Result == Good || v.Result == Incompatible {
		v.Protection = c.protection()
	}
	return nil
}

// protection is what the checks that passed amount to, as far as the policy has
// it used: under one that takes data without its hash tree, nothing protects it.
func (c *course) protection() Protection {
	switch {
	case !c.used.Verity:
		return Unprotected
	case c.used.Signed:
		return Signed
	default:
		return Verity
	}
}

func (c *course) refuse(name Name, result Result, err error) {
	v := c.verdict
	err = hint.Default(err, advice(name, result, err))
	v.Result, v.Err = result, err
	v.Refusal = &Refusal{Check: name, Reason: strings.ReplaceAll(err.Error(), "\n", "; "), Hints: hint.Of(err)}
	for i := range v.Checks {
		if v.Checks[i].Check == name {
			v.Checks[i].State, v.Checks[i].Found = Failed, v.Refusal.Reason
		}
	}
}

// noting returns r, and notes when reading itself fails, so that a bad disk is
// not taken for a bad image.
func (c *course) noting(r io.ReaderAt) io.ReaderAt { return watched{r, &c.failing} }

// watched keeps the first error of a reader, for callers that lose it on the way.
type watched struct {
	io.ReaderAt
	first *atomic.Pointer[error]
}

func (w watched) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		w.first.CompareAndSwap(nil, &err)
	}
	return n, err
}
