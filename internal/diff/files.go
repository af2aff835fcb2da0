package diff

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"inlay/internal/content"
)

// files walks both trees side by side. Only the end of ctx is an error; what
// cannot be read ends the walk.
func (r *Result) files(ctx context.Context, a, b *content.Tree) error {
	nextA, stopA := iter.Pull2(all(ctx, a))
	defer stopA()
	nextB, stopB := iter.Pull2(all(ctx, b))
	defer stopB()
	f, errA, okA := nextA()
	g, errB, okB := nextB()
	for okA || okB {
		if errA != nil || errB != nil {
			break
		}
		order := -1
		if !okA {
			order = 1
		} else if okB {
			order = cmp.Compare(sortable(f.Path), sortable(g.Path))
		}
		if order <= 0 {
			r.A.count(f)
		}
		if order >= 0 {
			r.B.count(g)
		}
		switch {
		case order < 0:
			r.Removed = append(r.Removed, describe(f))
		case order > 0:
			r.Added = append(r.Added, describe(g))
		default:
			if differences := r.compare(ctx, f, g); len(differences) > 0 {
				r.Changed = append(r.Changed, Changed{"/" + strings.TrimPrefix(f.Path, "."), differences})
			}
		}
		if order <= 0 {
			f, errA, okA = nextA()
		}
		if order >= 0 {
			g, errB, okB = nextB()
		}
	}
	return r.ended(ctx, errA, errB)
}

// ended takes down why the walk ended early.
func (r *Result) ended(ctx context.Context, errA, errB error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errA != nil {
		r.unread(r.A.Path, errA)
	}
	if errB != nil {
		r.unread(r.B.Path, errB)
	}
	return nil
}

// all is a walk as a sequence, which ends with an error if there is one.
func all(ctx context.Context, tree *content.Tree) iter.Seq2[*content.File, error] {
	return func(yield func(*content.File, error) bool) {
		stopped := false
		err := tree.Walk(ctx, func(f *content.File) error {
			if stopped = !yield(f, nil); stopped {
				return context.Canceled
			}
			return nil
		})
		if err != nil && !stopped {
			yield(nil, err)
		}
	}
}

// sortable puts paths into the order of a walk: what is in a folder comes right
// after it, before names that merely begin like its own.
func sortable(path string) string {
	if path == "." {
		return ""
	}
	return strings.ReplaceAll(path, "/", "\x00")
}

func (s *Side) count(f *content.File) {
	if f.Path != "." {
		s.Files++
	}
	if f.Type() == content.TypeRegular {
		s.Bytes += f.Size
	}
}

func describe(f *content.File) File { return File{"/" + f.Path, typeWord(f), f.Size} }

func typeWord(f *content.File) string {
	return map[uint32]string{
		content.TypeFolder: "folder", content.TypeRegular: "file", content.TypeLink: "link", content.TypeChar: "character device",
		content.TypeBlock: "block device", content.TypeFIFO: "pipe", content.TypeSocket: "socket",
	}[f.Type()]
}

// compare says what differs between two files of one path. Content is hashed on
// both sides as it streams, and only where the sizes are equal.
func (r *Result) compare(ctx context.Context, a, b *content.File) []Change {
	if a.Type() != b.Type() {
		return []Change{{"type", typeWord(a), typeWord(b)}}
	}
	list := changes(attributes(a), attributes(b))
	if a.Type() != content.TypeRegular || a.Size != b.Size || a.Size == 0 {
		return list
	}
	was, errA := a.Digest(ctx)
	is, errB := b.Digest(ctx)
	if errA != nil {
		r.unread(r.A.Path, errA)
	}
	if errB != nil {
		r.unread(r.B.Path, errB)
	}
	if errA == nil && errB == nil && was != is {
		list = append(list, Change{"sha256", fmt.Sprintf("%x", was), fmt.Sprintf("%x", is)})
	}
	return list
}

// attributes are what is compared of a file besides its content.
func attributes(f *content.File) []fact {
	facts := []fact{
		{"mode", fmt.Sprintf("%04o", f.Mode&0o7777)},
		{"owner", fmt.Sprintf("%d:%d", f.UID, f.GID)},
	}
	switch {
	case f.Type() == content.TypeRegular:
		facts = append(facts, fact{"size", strconv.FormatInt(f.Size, 10)})
	case f.Type() == content.TypeLink:
		facts[0].value = "" // what a link's mode is depends on who made it
		facts = append(facts, fact{"target", f.Target})
	case f.Device():
		facts = append(facts, fact{"device", fmt.Sprintf("%d:%d", f.Major, f.Minor)})
	}
	for _, x := range f.Xattrs {
		facts = append(facts, fact{"xattr " + x.Name, valueText(x.Value)})
	}
	return facts
}

// valueText is the value of an attribute: text as it is, all else in hex, and
// nothing as two quotes.
func valueText(value []byte) string {
	if len(value) == 0 {
		return `""`
	}
	if utf8.Valid(value) && !strings.ContainsFunc(string(value), func(c rune) bool { return !unicode.IsPrint(c) }) {
		return string(value)
	}
	return fmt.Sprintf("0x%x", value)
}
