package build

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/tree"
)

// read merges the chosen layers; what is kept of them goes into the image as
// it passes.
func (b *builder) read(ctx context.Context) error {
	chosen, err := b.image.Select(b.Layers)
	if err != nil {
		return err
	}
	first, _, err := b.Layers.Range(len(b.image.Layers))
	if err != nil {
		return err
	}
	b.result.Source.LayersOf = len(b.image.Layers)
	var layers []tree.Layer
	for i, layer := range chosen {
		b.result.Source.Layers = append(b.result.Source.Layers, first+i)
		layers = append(layers, watched{layer, b.deleted})
	}
	b.step(StepRead)
	folders := b.folders()
	merged, _, err := tree.Merge(ctx, layers, tree.Options{
		Keep:      func(name string) bool { return extension.Within(name, folders) },
		Transform: b.transform,
	}, b.sink)
	if err != nil {
		return err
	}
	b.tree = merged
	return b.image.Empty(chosen)
}

// checkPlatform refuses an image for other machines than the extension is for.
func (b *builder) checkPlatform() error {
	system, arch := b.image.OS, b.image.Architecture
	if system != "" && system != "linux" {
		return hint.Wrap(fmt.Errorf("the image is for %s, not for Linux", system), "name an image for Linux")
	}
	if arch != "" && arch != b.Architecture.Go {
		return hint.Wrap(fmt.Errorf("the image is for %s, the extension for %s", arch, b.Architecture.Go),
			fmt.Sprintf("pass --arch %s, or name an image for %s", arch, b.Architecture.Go))
	}
	return nil
}

// complete turns what the layers hold into what the image holds.
func (b *builder) complete(ctx context.Context) error {
	b.leaveOut()
	b.dropOSRelease()
	if err := b.checkContent(ctx); err != nil {
		return err
	}
	if err := b.earlierLayers(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		// It would only have been advice.
		b.note("what earlier layers hold could not be read: %v", err)
	}
	b.step(StepPack)
	release, err := b.release()
	if err != nil {
		return err
	}
	if err := b.enableUnits(); err != nil {
		return err
	}
	if err := b.writeRelease(release); err != nil {
		return err
	}
	b.result.Release = release.Lines()
	b.settle()
	return b.inspectTree()
}

// leaveOut prunes what lies outside the folders of the image.
func (b *builder) leaveOut() {
	var out []string
	wanted := b.Wanted()
	for name, node := range b.tree.All() {
		if wanted(name) {
			continue
		}
		if node.Kind() != tree.Directory {
			b.result.LeftOut.add(name)
		}
		// A folder comes right before all that it holds.
		if len(out) == 0 || !extension.Within(name, out[len(out)-1:]) {
			out = append(out, name)
		}
	}
	for _, name := range out {
		b.tree.Remove(name)
	}
	for _, path := range b.IncludePaths {
		if b.tree.Lookup(path) == nil {
			b.warn("the source has no /%s to include", path)
		}
		if !extension.Within(path, b.Kind.Mergeable) {
			b.warn("/%s goes into the image, but nothing merges it: a %s extends %s", path, b.Kind.Name, slashed(b.Kind.Mergeable))
		}
	}
}

// checkContent refuses an image that would hold nothing.
func (b *builder) checkContent(ctx context.Context) error {
	for name, node := range b.tree.All() {
		if name != "" && node.Kind() != tree.Directory {
			return nil
		}
	}
	err := fmt.Errorf("nothing to pack: the source has no file below %s", slashed(b.folders()))
	if b.result.LeftOut.Count > 0 {
		err = fmt.Errorf("%w, only %s", err, strings.Join(b.result.LeftOut.Names, ", "))
	}
	advice := "a " + b.Kind.Name + " carries " + slashed(b.Kind.Hierarchies) + "; --include-path adds folders"
	if earlier, scanErr := b.scanEarlier(ctx); scanErr == nil && earlier.Count > 0 {
		advice = "earlier layers hold such files (" + strings.Join(earlier.Names, ", ") + "): try --layers all"
	}
	return hint.Wrap(err, advice)
}

// dropOSRelease leaves out the file that names a whole system: systemd
// refuses an extension that has one.
func (b *builder) dropOSRelease() {
	for _, name := range []string{"usr/lib/os-release", "etc/os-release"} {
		if b.tree.Remove(name) {
			b.warn("/%s is left out: an extension with one would pass for a whole system", name)
		}
	}
}

// settle labels what was not stored, and gives the root and the folders that no
// entry names the build time: they were made here.
func (b *builder) settle() {
	root := b.tree.Root()
	root.Mode, root.UID, root.GID, root.Sec, root.Nsec, root.Xattrs = root.Mode&typeMask|0o755, 0, 0, 0, 0, nil
	for name, node := range b.tree.All() {
		if node.Kind() != tree.Regular {
			b.label(name, node)
		}
		if node.Implied || name == "" {
			b.stamp(node)
		}
	}
}

// stamp gives what was made here the build time.
func (b *builder) stamp(node *tree.Inode) {
	if b.Epoch != nil {
		node.Sec, node.Nsec = b.Epoch.Unix(), uint32(b.Epoch.Nanosecond())
	}
}

// addFile puts a file that the build makes into the image.
func (b *builder) addFile(name string, text []byte) error {
	node := tree.NewInode(tree.Regular, 0o644)
	b.stamp(node)
	b.label(name, node)
	if err := b.tree.Insert(name, node); err != nil {
		return err
	}
	return b.storeText(name, node, text)
}

func (b *builder) storeText(name string, node *tree.Inode, text []byte) error {
	node.Size = int64(len(text))
	// Past the catcher: this is what it was waiting for.
	if err := b.sink.packer.Store(name, node, bytes.NewReader(text)); err != nil {
		return fmt.Errorf("storing %q: %w", "/"+name, err)
	}
	node.Stored = true
	return nil
}

func slashed(folders []string) string {
	text := make([]string, len(folders))
	for i, f := range folders {
		text[i] = "/" + f
	}
	return strings.Join(text, " and ")
}
