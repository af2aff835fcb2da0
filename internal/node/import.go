package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/rooted"
	"inlay/internal/store"
	"inlay/internal/verify"
)

// maxImported bounds how many files and folders are looked at, maxDeep how deep
// they may lie: a medium is no more than that.
const (
	maxImported = 100_000
	maxDeep     = 64
)

// ImportRequest says what to take over from a folder, such as a medium.
type ImportRequest struct {
	From     *os.Root
	Profiles []store.Profile
	DryRun   bool
	// AllowUntrusted is DownloadRequest's.
	AllowUntrusted bool
	// Copying and Verifying are told how far that is.
	Copying, Verifying func(done, total int64)
}

// Imported is what was taken over.
type Imported struct {
	Images   []*ImportedImage `json:"images"`
	Profiles []store.Profile  `json:"profiles"`
	// Done says that a store was changed: false if all was so already.
	Done   bool     `json:"done"`
	DryRun bool     `json:"dryRun,omitempty"`
	Notes  []string `json:"notes,omitempty"`
}

// ImportedImage is one of them.
type ImportedImage struct {
	Kind string `json:"kind"`
	// Already says that the store has this very image.
	Already bool `json:"already"`
	Downloaded

	node   *Node
	file   *os.File
	staged *store.Staged
}

// Import takes over the extensions that lie anywhere in a folder, *.sysext.raw and
// *.confext.raw, into the stores of nodes, one for each kind, and enables them. Each
// is judged by its copy. All of them are let in or none; each store changes in one
// step, when everything has been copied and judged.
func Import(ctx context.Context, nodes []*Node, r ImportRequest) (*Imported, error) {
	result := &Imported{Images: []*ImportedImage{}, Profiles: unique(r.Profiles), DryRun: r.DryRun}
	defer func() {
		for _, im := range result.Images {
			im.close()
		}
	}()
	if err := result.find(nodes, r.From); err != nil {
		return nil, err
	}
	if err := result.copy(ctx, r); err != nil {
		return nil, err
	}
	if err := result.judge(ctx, r); err != nil {
		return nil, err
	}
	if err := result.distinct(); err != nil {
		return nil, err
	}
	if r.DryRun {
		for _, n := range nodes {
			if err := result.compare(ctx, n); err != nil {
				return nil, err
			}
		}
		return result, nil
	}
	if len(result.Images) == 0 {
		return result, nil
	}
	return result, result.change(ctx, nodes, r)
}

func unique(profiles []store.Profile) []store.Profile {
	return slices.DeleteFunc(store.Profiles(), func(p store.Profile) bool { return !slices.Contains(profiles, p) })
}

// find opens all images below a folder, in the order of their paths. Links are not
// followed: what they lead to is found by itself, or lies elsewhere.
func (r *Imported) find(nodes []*Node, from *os.Root) error {
	seen := 0
	return fs.WalkDir(from.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("looking for extensions in %q: %w", from.Name(), err)
		}
		if seen++; seen > maxImported || strings.Count(name, "/") > maxDeep {
			return hint.Wrap(fmt.Errorf("%q holds too much to look through: more than %d files, or folders in more than %d others",
				from.Name(), maxImported, maxDeep), "name the folder that the extensions lie in")
		}
		k, known := extension.KindOfFile(name)
		i := slices.IndexFunc(nodes, func(n *Node) bool { return n.Kind.Name == k.Name })
		if !known || i < 0 || !d.Type().IsRegular() {
			return nil
		}
		im := &ImportedImage{Kind: k.Name, node: nodes[i]}
		im.Source = path.Join(from.Name(), name)
		if im.FileName, err = nodes[i].fileName(path.Base(name)); err != nil {
			return fmt.Errorf("importing %q: %w", im.Source, err)
		}
		if im.file, err = rooted.Open(from, name); err != nil {
			return fmt.Errorf("opening %q: %w", im.Source, err)
		}
		r.Images = append(r.Images, im)
		info, err := im.file.Stat()
		if err != nil {
			return err
		}
		im.Size = info.Size()
		return nil
	})
}

// copy copies all images, where nobody sees them yet. There is room for all of them
// before the first byte is copied.
func (r *Imported) copy(ctx context.Context, q ImportRequest) error {
	var total, done int64
	for _, im := range r.Images {
		total += im.Size
		if q.DryRun {
			continue
		}
		var err error
		if im.staged, err = im.node.store.Stage(im.Size); err != nil {
			return fmt.Errorf("importing %q: %w", im.Source, err)
		}
	}
	for _, im := range r.Images {
		h := sha256.New()
		to := io.Writer(h)
		if im.staged != nil {
			to = io.MultiWriter(h, im.staged)
		}
		if q.Copying != nil {
			to = io.MultiWriter(to, counting(func(n int) {
				done += int64(n)
				q.Copying(done, total)
			}))
		}
		n, err := io.Copy(to, content.Until(ctx, im.file))
		if err == nil && n != im.Size {
			err = fmt.Errorf("it had %d bytes, and gave %d", im.Size, n)
		}
		if err != nil {
			return fmt.Errorf("copying %q: %w", im.Source, err)
		}
		im.Digest = "sha256:" + hex.EncodeToString(h.Sum(nil))
	}
	return nil
}

type counting func(n int)

func (c counting) Write(b []byte) (int, error) {
	c(len(b))
	return len(b), nil
}

// judge asks for the verdict on each. Of those that are refused all are named.
func (r *Imported) judge(ctx context.Context, q ImportRequest) error {
	var refused []error
	for _, im := range r.Images {
		err := im.judge(ctx, q)
		if _, ok := errors.AsType[*RefusedError](err); ok {
			refused = append(refused, err)
			continue
		}
		if err != nil {
			return err
		}
		if im.staged != nil {
			if err := im.staged.Sync(); err != nil {
				return err
			}
		}
	}
	return errors.Join(refused...)
}

func (im *ImportedImage) judge(ctx context.Context, q ImportRequest) error {
	n := im.node
	var image io.ReaderAt = im.file
	if im.staged != nil {
		image = im.staged
	}
	v, err := n.judge(ctx, &verify.Subject{Path: im.FileName, Image: image, Size: im.Size}, verify.Full, q.Verifying)
	switch {
	case err != nil:
		return err
	case v.Result == verify.Refused:
		return n.refused(im.Source, v, "take it out of the folder; inlay verify shows every check")
	case v.Result != verify.Good && v.Result != verify.Incompatible:
		return fmt.Errorf("importing %q: %w", im.Source, v.Err)
	}
	im.Verdict, im.Policy = v, n.rule.Policy.String()
	var e Entry
	e.apply(summarize(v))
	im.Guard = e.Guard()
	n.warn(&im.Downloaded, false)
	return nil
}
