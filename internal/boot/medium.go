package boot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"inlay/internal/disk"
	"inlay/internal/extension"
	"inlay/internal/rooted"
	"inlay/internal/version"
)

const (
	// mediumExtensions is the folder of a medium for what it carries.
	mediumExtensions = "extensions"
	// fromMedium is the report's word for them.
	fromMedium = "medium"
	// mediumAt is where a medium is mounted if nobody has it mounted.
	mediumAt = "run/inlay/medium"
)

// mediumFolders are where live systems have their medium mounted: those of dracut
// and Kairos, of Debian's live-boot (now and before), of Arch, and of casper.
func mediumFolders() []string {
	return []string{
		mediumAt, "run/initramfs/live", "run/install", "run/install/repo", "run/live/medium", "lib/live/mount/medium",
		"run/archiso/bootmnt", "cdrom", "media/cdrom",
	}
}

// mediumLabels are those of media: ours and Kairos'. The kernel's command line may
// name others.
func mediumLabels() []string { return []string{"UKI_ISO_INSTALL", "COS_LIVE"} }

// findMedium finds the extensions that the booted medium carries, which it mounts if
// nobody has.
func (p *pass) findMedium(context.Context) (string, error) {
	for _, at := range mediumFolders() {
		final, stays := p.final(at)
		clean, err := rooted.Resolve(p.System, path.Join(at, mediumExtensions))
		if err != nil || !stays {
			continue
		}
		folder, err := p.System.OpenRoot(clean)
		if err != nil {
			continue
		}
		p.addMedium(folder, path.Join(final, mediumExtensions))
		return "the medium at /" + at, nil
	}
	devices, problems, err := disk.All(p.System)
	if err != nil {
		return "", err
	}
	all, more := disk.Look(p.System, devices)
	problems = append(problems, more...)
	labels := p.liveLabels()
	for _, d := range all {
		if d.Kind != "iso9660" || !slices.Contains(labels, d.Superblock) {
			continue
		}
		found, err := p.mountMedium(d)
		if found {
			return "the medium " + d.Node(), nil
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("medium %s: %w", d.Node(), err))
		}
	}
	return "", errors.Join(problems...)
}

// mountMedium uses a medium that has extensions.
func (p *pass) mountMedium(d disk.Labelled) (found bool, err error) {
	m, err := disk.Mount(p.System, d.Device, d.Kind)
	if err != nil {
		return false, err
	}
	info, err := m.Root.Lstat(mediumExtensions)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return false, m.Close() // most carry none
	}
	if err == nil && !p.DryRun {
		var seen *disk.Mounted
		if seen, err = disk.MountAt(p.System, d.Device, d.Kind, mediumAt); err == nil {
			err = m.Close()
			m = seen
		}
	}
	var folder *os.Root
	if err == nil {
		folder, err = m.Root.OpenRoot(mediumExtensions)
	}
	if err != nil {
		return false, errors.Join(err, m.Close())
	}
	_ = m.Detach().Close() // the folder is open, and holds it
	p.addMedium(folder, path.Join(mediumAt, mediumExtensions))
	return true, nil
}

func (p *pass) addMedium(folder *os.Root, at string) {
	for _, k := range p.Kinds {
		p.places = append(p.places, place{kind: k, from: fromMedium, folder: folder, at: at})
	}
}

// liveLabels are the labels of media, those first that the kernel's command line
// names: root=live:LABEL=X.
func (p *pass) liveLabels() (labels []string) {
	text, err := rooted.ReadFile(p.System, "proc/cmdline", maxCommandLine)
	if err != nil {
		return mediumLabels()
	}
	for word := range strings.FieldsSeq(string(text)) {
		for _, key := range []string{"root=live:LABEL=", "root=live:CDLABEL="} {
			if label, ok := strings.CutPrefix(word, key); ok {
				labels = append(labels, label)
			}
		}
	}
	return append(labels, mediumLabels()...)
}

// carried returns the images of a kind that a medium carries, in the order in which
// systemd stacks them. A plain .raw is a sysext, as it is in a store.
func (p *pass) carried(at place) ([]wanted, error) {
	names, err := rooted.ReadNames(at.folder, ".", maxNames)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", "/"+at.at, err)
	}
	var all []wanted
	for _, fileName := range names {
		kind, known := extension.KindOfFile(fileName)
		if !known {
			kind = extension.Sysext()
		}
		if kind.Name != at.kind.Name || !strings.HasSuffix(fileName, ".raw") || strings.HasPrefix(fileName, ".") {
			continue
		}
		w := wanted{
			kind: kind, name: extension.NameOf(kind, fileName), fileName: fileName, from: fromMedium,
			path: path.Join(at.at, fileName),
			open: func() (*os.File, error) { return rooted.Open(at.folder, fileName) },
		}
		if err := extension.ValidName(w.name); err != nil {
			p.problem("%s: %v", path.Join("/", w.path), err)
			continue
		}
		all = append(all, w)
	}
	slices.SortStableFunc(all, func(a, b wanted) int {
		return cmp.Or(version.Compare(a.name, b.name), cmp.Compare(a.fileName, b.fileName))
	})
	return all, nil
}
