package verify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/gpt"
	"inlay/internal/hint"
)

// release is the release file of one kind.
type release struct {
	kind  extension.Kind
	found *extension.Found
}

// checkRelease looks for the release file that makes the image an extension of
// the name it goes by.
func (c *course) checkRelease(ctx context.Context) (State, string, error) {
	state, found, err := c.openContent()
	if state != Passed || err != nil {
		return state, found, err
	}
	if !c.options.Brief {
		if err := c.findings(ctx); err != nil {
			return "", "", err
		}
	}
	kinds := extension.Kinds()
	if c.subject.Kind != nil {
		kinds = []extension.Kind{*c.subject.Kind}
	} else if k, known := extension.KindOfFile(filepath.Base(c.subject.Path)); known {
		kinds = []extension.Kind{k}
	}
	var missing error
	for _, k := range kinds {
		name := c.name(k)
		if err := extension.ValidName(name); err != nil {
			return "", "", err
		}
		f, err := extension.LookupRelease(c.tree, k, name)
		switch {
		case err == nil:
			c.found = append(c.found, release{k, f})
		case errors.Is(err, extension.ErrNoRelease):
			// Of two that are missing, the one that comes close says more.
			if missing == nil || len(hint.Of(missing)) < len(hint.Of(err)) {
				missing = err
			}
		default:
			return "", "", err
		}
	}
	if len(c.found) == 0 {
		return "", "", missing
	}
	c.describeRelease()
	return Passed, c.releaseText(), nil
}

// openContent opens the file system. What inlay cannot read takes nothing from
// the trust that signature and tree give.
func (c *course) openContent() (State, string, error) {
	if c.subject.Folder != nil {
		c.tree = content.Folder(c.subject.Folder)
		return Passed, "", nil
	}
	data, size := c.data()
	tree, err := content.Open(data, size)
	if unread, ok := errors.AsType[*content.Unread](err); ok && unread.FileSystem != "" {
		return Unread, unread.Error(), nil
	}
	if err != nil {
		return "", "", fmt.Errorf("reading the data: %w", err)
	}
	// The look before the tree was checked decided on more than a word.
	if kind, bytes := content.Probe(data, size); kind != c.volume.fileSystem || bytes != c.volume.fileSystemSize {
		return "", "", fmt.Errorf("the file system was %s of %d bytes, and is %s of %d: the image changes while it is read",
			c.volume.fileSystem, c.volume.fileSystemSize, kind, bytes)
	}
	c.tree = tree
	if c.volume.designator == gpt.Usr {
		c.tree = tree.Under(gpt.Usr)
	}
	return Passed, "", nil
}

// name is the extension's name, if it is one of kind k.
func (c *course) name(k extension.Kind) string {
	if c.subject.Name != "" {
		return c.subject.Name
	}
	base := filepath.Base(c.subject.Path)
	if c.subject.Folder != nil {
		return extension.NameOfFolder(k, base)
	}
	return extension.NameOf(k, base)
}

func (c *course) describeRelease() {
	first := c.found[0]
	v := c.verdict
	v.Kind, v.Name = first.kind.Name, c.name(first.kind)
	v.Release, v.Found = first.found.Release.Lines(), first.found
	v.Version = extension.VersionOf(v.Name)
	for _, key := range []string{strings.ToUpper(first.kind.Name) + "_VERSION_ID", "IMAGE_VERSION"} {
		if v.Version == "" {
			v.Version = first.found.Release.Get(key)
		}
	}
}

func (c *course) releaseText() string {
	var texts []string
	for _, r := range c.found {
		texts = append(texts, fmt.Sprintf("%s %q: %s", r.kind.Name, c.name(r.kind), strings.Join(r.found.Release.Lines(), " ")))
	}
	return strings.Join(texts, "; ")
}

// checkArchitecture compares what the release file says with the partition types.
func (c *course) checkArchitecture(context.Context) (State, string, error) {
	typed := c.verdict.Architecture
	if c.tree == nil {
		return Unread, "the release file was not read", nil
	}
	if typed == "" {
		return Nothing, "no partition type names one", nil
	}
	for _, r := range c.found {
		word := r.found.Release.Get(extension.KeyArchitecture)
		if word == "" || word == extension.Any || word == typed {
			continue
		}
		return "", "", hint.Wrap(fmt.Errorf("the release file is for %s, but the partitions are for %s", word, typed),
			"build the image again for the architecture of its content")
	}
	return Passed, typed, nil
}

// checkHost asks whether the host takes the extension: as any of its kinds.
func (c *course) checkHost(context.Context) (State, string, error) {
	host := *c.options.Host
	if c.tree == nil {
		return "", "", errors.New("the release file could not be read, so nobody can tell whether this host takes the extension")
	}
	if typed := c.verdict.Architecture; typed != "" && host.Architecture != "" && typed != host.Architecture {
		return "", "", hint.Wrap(fmt.Errorf("the image is for %s, the host is %s", typed, host.Architecture), "get the image for the host's architecture")
	}
	var errs []error
	for _, r := range c.found {
		err := host.Match(r.kind, r.found.Release)
		if err == nil {
			return Passed, fmt.Sprintf("%s takes it as a %s", hostName(host), r.kind.Name), nil
		}
		errs = append(errs, err)
	}
	return "", "", errors.Join(errs...)
}

func hostName(h extension.Host) string {
	if name := h.Release.Get("PRETTY_NAME"); name != "" {
		return name
	}
	return strings.TrimSpace(h.Release.Get(extension.KeyID) + " " + h.Release.Get(extension.KeyVersionID))
}
