package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/rooted"
)

// HandedOver is the folder in which a file with the name of a kind says that systemd
// may merge that: what has to come before has been done. Units that were installed
// for trusted boots merge nothing without.
const HandedOver = "run/inlay/handed-over"

// takeBack withdraws what an earlier pass of this boot has handed over, until this one
// has come to its end.
func (p *pass) takeBack() (string, error) {
	if p.DryRun {
		return "", nil
	}
	var errs []error
	for _, k := range extension.Kinds() {
		if err := p.System.Remove(path.Join(HandedOver, k.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return "", errors.Join(errs...)
}

// merge hands over. Without a Merger, systemd's services come later.
func (p *pass) merge(ctx context.Context) (string, error) {
	var said []string
	for _, k := range p.Kinds {
		m := Merge{Kind: k.Name, Engine: "systemd"}
		var err error
		switch {
		case p.DryRun:
		case p.Merger != nil:
			m.Engine, err = p.Merger.Merge(ctx, k)
			m.Done = err == nil
		case !p.InPlace:
			// The system that comes after the initial RAM disk mounts more, over covers
			// too. So only its own pass hands over.
		case p.open[k.Name] != "":
			err = errors.New("it is not handed over, since not all could be closed: " + p.open[k.Name])
		default:
			err = write(p.System, path.Join(HandedOver, k.Name), nil)
		}
		if p.State.TrustedBoot && p.InPlace && p.Merger == nil && !p.bound(k) {
			p.problem("%s: nothing keeps systemd from merging more than this step has let in: have the image made with inlay boot install --trusted-boot", k.Unit)
		}
		if err != nil {
			m.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
			said = append(said, k.Name+": "+m.Error)
		} else if m.Done {
			said = append(said, k.Name+" by "+m.Engine)
		}
		p.note(func(r *Report) { r.Merges = append(r.Merges, m) })
	}
	return strings.Join(said, ", "), nil
}

// kernelOnly says that nobody but the kernel is to check signatures.
func (p *pass) kernelOnly() bool {
	return p.requiresSignatures() || p.said("systemd.allow_userspace_verity", isNo)
}

// requiresSignatures says that the kernel takes no dm-verity device whose root hash
// is not signed by a key that it knows.
func (p *pass) requiresSignatures() bool {
	if p.said("dm_verity.require_signatures", func(value string) bool { return !isNo(value) }) {
		return true
	}
	text, err := rooted.ReadFile(p.System, "sys/module/dm_verity/parameters/require_signatures", maxParameter)
	return err == nil && strings.TrimSpace(string(text)) == "Y"
}

// said says whether a word of the kernel's command line has a value of some kind.
func (p *pass) said(key string, is func(value string) bool) bool {
	return slices.ContainsFunc(p.words, func(word string) bool {
		k, value, _ := strings.Cut(word, "=")
		return strings.ReplaceAll(k, "-", "_") == key && is(value)
	})
}

// maxParameter bounds a parameter of a module, in bytes.
const maxParameter = 4096

// setAsideFolder is where what lay in a run folder is put on a trusted boot.
const setAsideFolder = "run/inlay/set-aside"

// clearRun takes out of a run folder, on a trusted boot, what is no link of ours: what
// this step has not judged is not merged, whoever has put it there and whenever. It is
// refused without a look, since no image policy is asked of a folder.
func (p *pass) clearRun(k extension.Kind) error {
	if !p.State.TrustedBoot {
		return nil
	}
	names, err := rooted.ReadNames(p.System, k.RunFolder, maxNames)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %q: %w", "/"+k.RunFolder, err)
	}
	var errs []error
	for _, name := range names {
		at := path.Join(k.RunFolder, name)
		if target, err := p.System.Readlink(at); err == nil && p.ours(k, target) {
			continue
		}
		x := Extension{
			Kind: k.Name, Name: extension.NameOf(k, name), FileName: name, Path: "/" + at, From: "/" + k.RunFolder, Result: Refused,
			Reason: "it lay there already, and on a trusted boot only what the boot step has judged is merged",
			Hints:  []string{"put the image into the store: inlay " + k.Name + " download"},
		}
		if !p.DryRun {
			if err := p.moveAside(k.RunFolder, name); err != nil {
				errs = append(errs, fmt.Errorf("%q cannot be moved away, unmount or remove it: %w", "/"+at, err))
			}
		}
		p.note(func(r *Report) { r.Extensions = append(r.Extensions, x) })
	}
	if err := errors.Join(errs...); err != nil {
		p.open[k.Name] = err.Error()
		return err
	}
	return nil
}

// moveAside moves something out of a folder below /run. What cannot be moved stays: it may be
// mounted there, and what is in it lie on a disk.
func (p *pass) moveAside(of, name string) error {
	from, folder := path.Join(of, name), path.Join(setAsideFolder, path.Base(of))
	if err := p.System.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	to := path.Join(folder, name)
	for n := 2; n <= maxNames; n++ { // what an earlier pass has put there stays
		if _, err := p.System.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
		to = path.Join(folder, fmt.Sprintf("%s.%d", name, n))
	}
	return p.System.Rename(from, to)
}
