package layer

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"inlay/internal/discover"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/mount"
)

// suits refuses what the engine cannot merge, whatever is in it.
func (p *Plan) suits(c *discover.Candidate) error {
	if c.Type == discover.Stack {
		return refusedAs(hint.Wrap(errors.New("a folder of layers (.mstack), which systemd lists and doesn't merge"), "build one image of the layers: inlay build"))
	}
	if p.Request.Engine == EngineSystemd {
		if why := extension.AwkwardName(c.Name); why != "" {
			return refusedAs(hint.Wrap(errors.New(why), "give the extension another name, or choose the native engine"))
		}
	}
	h := p.around(c)
	if h == "" {
		return nil
	}
	move := fmt.Sprintf("move it to /var/lib/extensions/%s", c.Name)
	if p.Request.Engine == EngineSystemd {
		return refusedAs(hint.Wrap(fmt.Errorf("a folder inside of %q, or around it, over which systemd cannot lay it", h), move+", or choose the native engine"))
	}
	if p.stacked(c) {
		return refusedAs(hint.Wrap(fmt.Errorf("a folder inside of %q, which is an overlay already: the kernel stacks no more than %d", h, mount.MaxDepth), move))
	}
	return nil
}

// around returns the hierarchy that a folder lies in or contains, "" if there is none.
func (p *Plan) around(c *discover.Candidate) string {
	if !c.Type.Folder() {
		return ""
	}
	for _, h := range p.Request.Hierarchies {
		if c.Path == "." || extension.Within(c.Path, []string{h[1:]}) {
			return h
		}
	}
	return ""
}

// stacked says whether a folder is on an overlay. Whether it can be opened is asked
// later.
func (p *Plan) stacked(c *discover.Candidate) bool {
	f, err := p.Request.Root.Open(c.Path)
	if err != nil {
		return false
	}
	defer f.Close()
	var s unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &s) == nil && s.Type == unix.OVERLAYFS_SUPER_MAGIC
}
