package build

import (
	"fmt"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/tree"
)

// inspectTree walks the tree that goes into the image: it counts, refuses
// what would act on the overlay, and warns of what hurts once merged.
func (b *builder) inspectTree() error {
	seen := map[*tree.Inode]bool{}
	for name, node := range b.tree.All() {
		if name == "" {
			continue
		}
		if err := b.checkMarker(name, node); err != nil {
			return err
		}
		if node.Links > 1 {
			if seen[node] {
				continue
			}
			seen[node] = true
		}
		b.count(node)
		if node.Kind() == tree.Directory {
			b.checkFolder(name, node)
		}
	}
	b.privileged()
	return nil
}

func (b *builder) count(node *tree.Inode) {
	c := &b.result.Counts
	switch node.Kind() {
	case tree.Regular:
		c.Files++
		c.Bytes += node.Size
		if node.Mode&0o6000 != 0 {
			c.Setuid++
		}
		if slices.ContainsFunc(node.Xattrs, func(x tree.Xattr) bool { return x.Name == "security.capability" }) {
			c.Capabilities++
		}
	case tree.Directory:
		c.Folders++
	case tree.Symlink:
		c.Symlinks++
	case tree.Char, tree.Block:
		c.Devices++
	}
}

// checkMarker refuses what overlayfs reads as an order and not as content.
// In a layer of an image it hides a file of the host, unseen by a reader.
func (b *builder) checkMarker(name string, node *tree.Inode) error {
	if b.AllowOverlayMarkers {
		return nil
	}
	const advice = "leave it out, or pass --allow-overlay-markers if it is meant to hide files of the host"
	if node.Kind() == tree.Char && node.Major == 0 && node.Minor == 0 {
		return hint.Wrap(fmt.Errorf("%q is a character device 0/0, which overlayfs takes for an order to delete", "/"+name), advice)
	}
	for _, x := range node.Xattrs {
		if strings.HasPrefix(x.Name, "trusted.overlay.") || strings.HasPrefix(x.Name, "user.overlay.") {
			return hint.Wrap(fmt.Errorf("%q has the attribute %q, an order to overlayfs", "/"+name, x.Name), advice)
		}
	}
	return nil
}

// checkFolder warns of folders that would change the host's once merged.
func (b *builder) checkFolder(name string, node *tree.Inode) {
	switch name {
	case "usr/sbin", "usr/lib64":
		b.warn("/%s is a real folder: on hosts where it is a link, it hides the host's", name)
	}
	if !shared(name) {
		return
	}
	if perm := node.Mode & 0o7777; perm&0o755 != 0o755 || perm&0o022 != 0 {
		b.warn("/%s has mode %04o, which the host's folder takes over once merged", name, perm)
	}
	if node.UID != 0 || node.GID != 0 {
		b.warn("/%s belongs to %d:%d, which the host's folder takes over once merged", name, node.UID, node.GID)
	}
}

// shared says whether the host likely has the folder name too: those of the
// file system hierarchy down to the level where packages put their own.
func shared(name string) bool {
	switch name {
	case "usr/lib/systemd", "usr/lib/systemd/system", "usr/local/lib/systemd", "usr/local/lib/systemd/system",
		"usr/lib/extension-release.d", "usr/lib/udev", "usr/lib/tmpfiles.d", "usr/lib/sysusers.d", "usr/lib/modules",
		"usr/share/man", "usr/share/doc", "etc/systemd", "etc/systemd/system":
		return true
	}
	depth := strings.Count(name, "/")
	return depth <= 1 || depth == 2 && strings.HasPrefix(name, "usr/local/")
}

// privileged says how much of the image runs with rights of its own.
func (b *builder) privileged() {
	c := b.result.Counts
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{c.Setuid, "setuid or setgid"}, {c.Capabilities, "with file capabilities"}, {c.Devices, "device nodes"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if len(parts) == 0 {
		return
	}
	text := "files with privileges of their own: " + strings.Join(parts, ", ")
	if b.Kind.Configuration {
		b.warn("a %s has no place for %s", b.Kind.Name, text)
		return
	}
	b.note("%s", text)
}
