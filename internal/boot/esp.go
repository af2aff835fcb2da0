package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"inlay/internal/bootstate"
	"inlay/internal/disk"
	"inlay/internal/efi"
	"inlay/internal/extension"
	"inlay/internal/guid"
	"inlay/internal/rooted"
	"inlay/internal/store"
)

// An installer of a unified kernel image leaves extensions beside it on the EFI
// system partition, in the folder that systemd's stub reads for it.
const (
	espFolder  = "EFI/kairos"
	espSuffix  = ".efi.extra.d"
	efivars    = "sys/firmware/efi/efivars"
	loaderDisk = "LoaderDevicePartUUID"

	// maxNames bounds a folder of the partition.
	maxNames = 4096
	// afterwards is how long a copy that was told to end may take to do so.
	afterwards = 2 * time.Second
)

// left is an image that lies on the partition.
type left struct {
	kind    extension.Kind
	profile store.Profile
	path    string // on the partition
	// fileName is what it is called in the store: FAT knows no upper and lower case.
	fileName string
	size     int64
}

// takeIn moves what an installer has left on the EFI system partition into the
// store. It takes half of the pass's time at most: what is not done then stays, and
// is looked at in the next boot.
func (p *pass) takeIn(ctx context.Context) (string, error) {
	if s := p.State.State; s != bootstate.Active && s != bootstate.Passive {
		// The recovery system must not write to the store, and a medium has none.
		return "", nil
	}
	id, err := loaderPartition(p.System)
	if err != nil || id == (guid.GUID{}) {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.total()/2, errSlow)
	defer cancel()
	t := taker{target: p.Target, system: p.System, kinds: p.Kinds, dryRun: p.DryRun, now: p.Now}
	done := make(chan taken, 1)
	go func() { done <- t.run(ctx, id) }()
	var r taken
	select {
	case r = <-done:
	case <-ctx.Done():
		select {
		case r = <-done:
		case <-time.After(afterwards):
			r.err = context.Cause(ctx) // the partition hangs: it is left behind
		}
	}
	p.note(func(all *Report) { all.Taken = append(all.Taken, r.images...) })
	for _, text := range r.problems {
		p.problem("%s", text)
	}
	return r.text(p.DryRun), r.err
}

// loaderPartition returns the partition that the boot loader was started from; the
// zero value where no loader says so, as with GRUB.
func loaderPartition(system *os.Root) (guid.GUID, error) {
	text, err := rooted.ReadFile(system, path.Join(efivars, efi.FileName(loaderDisk, efi.Loader())), efi.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return guid.GUID{}, nil
	}
	var v efi.Variable
	if err == nil {
		v, err = efi.ParseVariable(text)
	}
	var id string
	if err == nil {
		id, err = v.Text()
	}
	var g guid.GUID
	if err == nil {
		g, err = guid.Parse(id)
	}
	if err != nil {
		return guid.GUID{}, fmt.Errorf("asking which partition was booted: reading %s: %w", loaderDisk, err)
	}
	return g, nil
}

// taken is what came of a take-in.
type taken struct {
	images   []Taken
	problems []string
	err      error
}

func (r *taken) text(dryRun bool) string {
	if len(r.images) == 0 {
		return ""
	}
	bad := 0
	for _, x := range r.images {
		if x.Error != "" {
			bad++
		}
	}
	text := fmt.Sprintf("%d taken from the EFI system partition", len(r.images)-bad)
	if dryRun {
		text = fmt.Sprintf("%d would be taken from the EFI system partition", len(r.images)-bad)
	}
	if bad > 0 {
		text += fmt.Sprintf(", %d stay there", bad)
	}
	return text
}

// taker takes in. It runs beside the pass, and so shares nothing with it that
// either changes.
type taker struct {
	target, system *os.Root
	kinds          []extension.Kind
	dryRun         bool
	now            func() time.Time
	taken
}

func (t *taker) run(ctx context.Context, id guid.GUID) taken {
	if err := t.fromPartition(ctx, id); err != nil {
		t.err = fmt.Errorf("taking in what an installer has left: %w", err)
	}
	return t.taken
}

func (t *taker) fromPartition(ctx context.Context, id guid.GUID) (err error) {
	d, err := disk.ByID(t.system, id)
	if err != nil {
		return err
	}
	kind, _, err := d.FileSystem(t.system)
	if err != nil {
		return err
	}
	esp, err := disk.Mount(t.system, d, kind)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, esp.Close()) }()
	all, err := t.find(esp.Root)
	if err != nil || len(all) == 0 {
		return err
	}
	if !t.dryRun {
		// What cannot be taken away is not taken in: with each boot it would come back.
		if err := esp.Writable(); err != nil {
			t.stay(all, err)
			return nil
		}
	}
	for _, l := range all {
		profiles, err := t.take(ctx, esp.Root, l)
		if err == nil && !t.dryRun {
			if err = esp.Root.Remove(l.path); err == nil {
				err = esp.Sync()
			}
			if err != nil {
				err = fmt.Errorf("it is in the store, but stays on the partition, too: %w", err)
			}
		}
		x := Taken{Kind: l.kind.Name, FileName: l.fileName, From: l.path, Profiles: profiles}
		if err != nil {
			x.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		t.images = append(t.images, x)
	}
	return nil
}

// stay notes why nothing can be taken in.
func (t *taker) stay(all []left, err error) {
	for _, l := range all {
		t.images = append(t.images, Taken{
			Kind: l.kind.Name, FileName: l.fileName, From: l.path, Profiles: []string{},
			Error: "it stays, since it could not be removed afterwards: " + strings.ReplaceAll(err.Error(), "\n", "; "),
		})
	}
}

// find returns the images that an installer has left. Anything else there is
// somebody else's.
func (t *taker) find(esp *os.Root) (all []left, err error) {
	for _, profile := range []store.Profile{store.Active, store.Passive} {
		folder, names, err := listFolded(esp, path.Join(espFolder, string(profile)+espSuffix))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			kind, known := extension.KindOfFile(strings.ToLower(name))
			if !known || !slices.ContainsFunc(t.kinds, func(k extension.Kind) bool { return k.Name == kind.Name }) {
				continue
			}
			at := path.Join(folder, name)
			info, err := esp.Lstat(at)
			if err != nil {
				return nil, fmt.Errorf("looking at %q: %w", at, err)
			}
			if !info.Mode().IsRegular() {
				continue
			}
			all = append(all, left{
				kind: kind, profile: profile, path: at, size: info.Size(),
				fileName: name[:len(name)-len(kind.Suffix)] + kind.Suffix,
			})
		}
	}
	return all, nil
}

// listFolded lists a folder, whatever the case that it and those above it are
// written in, and returns its real name; one that is not there is empty.
func listFolded(root *os.Root, name string) (clean string, names []string, err error) {
	clean = "."
	for part := range strings.SplitSeq(name, "/") {
		if names, err = rooted.ReadNames(root, clean, maxNames); err != nil {
			return "", nil, fmt.Errorf("reading folder %q: %w", clean, err)
		}
		i := slices.Index(names, part)
		if i < 0 {
			i = slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, part) })
		}
		if i < 0 {
			return "", nil, nil
		}
		clean = path.Join(clean, names[i])
		if info, err := root.Lstat(clean); err != nil || !info.IsDir() {
			return "", nil, err
		}
	}
	if names, err = rooted.ReadNames(root, clean, maxNames); err != nil {
		return "", nil, fmt.Errorf("reading folder %q: %w", clean, err)
	}
	return clean, names, nil
}
