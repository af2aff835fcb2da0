package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/content"
)

// shownPaths is how many paths a finding names.
const shownPaths = 10

// findings looks at every file for what acts on the overlay, on privileges or
// on the host's identity.
func (c *course) findings(ctx context.Context) error {
	kinds := []struct {
		name, text string
		fits       func(*content.File) bool
	}{
		{"whiteout", "hides a file of the host or of another extension", isWhiteout},
		{"overlay-attribute", "tells the overlay to hide or redirect a folder", hasOverlayAttribute},
		{"device", "is a device node", isDevice},
		{"setuid", "runs with the rights of its owner or group", isSetuid},
		{"capability", "runs with privileges that the file carries", hasCapability},
		{"os-release", "replaces the identity of the host; systemd refuses to merge it", isOSRelease},
	}
	found := make([]Finding, len(kinds))
	err := c.tree.Walk(ctx, func(f *content.File) error {
		for i, k := range kinds {
			if !k.fits(f) {
				continue
			}
			found[i].Finding, found[i].Text = k.name, k.text
			found[i].Count++
			if len(found[i].Paths) < shownPaths {
				found[i].Paths = append(found[i].Paths, "/"+f.Path)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the file system: %w", err)
	}
	c.verdict.Findings = slices.DeleteFunc(found, func(f Finding) bool { return f.Count == 0 })
	return nil
}

// isWhiteout: overlayfs takes a character device 0:0 for one.
func isWhiteout(f *content.File) bool {
	return f.Mode&unix.S_IFMT == unix.S_IFCHR && f.Major == 0 && f.Minor == 0
}

func isDevice(f *content.File) bool {
	kind := f.Mode & unix.S_IFMT
	return kind == unix.S_IFBLK || kind == unix.S_IFCHR && !isWhiteout(f)
}

func isSetuid(f *content.File) bool {
	return f.Mode&unix.S_IFMT == unix.S_IFREG && f.Mode&(unix.S_ISUID|unix.S_ISGID) != 0
}

func hasOverlayAttribute(f *content.File) bool {
	return slices.ContainsFunc(f.Xattrs, func(x content.Xattr) bool {
		return strings.HasPrefix(x.Name, "trusted.overlay.") || strings.HasPrefix(x.Name, "user.overlay.")
	})
}

func hasCapability(f *content.File) bool {
	return slices.ContainsFunc(f.Xattrs, func(x content.Xattr) bool { return x.Name == "security.capability" })
}

func isOSRelease(f *content.File) bool {
	return f.Path == "usr/lib/os-release" || f.Path == "etc/os-release"
}
