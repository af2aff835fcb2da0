package build

import (
	"fmt"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/selinux"
	"inlay/internal/tree"
)

// machineAttributes are set by the machine that a folder was made on and
// mean nothing, or harm, on the host that an image is made for.
func machineAttributes() []string {
	return []string{selinux.Attribute, "security.ima", "security.evm"}
}

// portable says whether an attribute means the same on every file system.
// Others, such as NFS's lists of access rights or btrfs's way to compress, are
// the business of the one that a file lies on, and no image can hold them.
func portable(name string) bool {
	space, _, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"user", "trusted", "security"}, space) ||
		name == "system.posix_acl_access" || name == "system.posix_acl_default"
}

// transform fits an entry for the image before it is stored: times are
// clamped, and of a folder's files what belongs to the builder's machine goes.
func (b *builder) transform(e *tree.Entry) error {
	if b.Epoch != nil {
		if sec := b.Epoch.Unix(); e.Sec > sec || e.Sec == sec && e.Nsec > uint32(b.Epoch.Nanosecond()) {
			e.Sec, e.Nsec = sec, uint32(b.Epoch.Nanosecond())
		}
	}
	if b.fromFolder {
		if !b.KeepOwner {
			e.UID, e.GID = 0, 0
		}
		e.Xattrs = slices.DeleteFunc(e.Xattrs, func(x tree.Xattr) bool {
			return slices.Contains(machineAttributes(), x.Name) || !portable(x.Name)
		})
	}
	for _, x := range e.Xattrs {
		if !portable(x.Name) && extension.Within(e.Name, b.folders()) {
			return hint.Wrap(fmt.Errorf("%q has the attribute %q, which belongs to the file system that it comes from", "/"+e.Name, x.Name),
				"make the layer without it, such as with tar --xattrs-exclude")
		}
	}
	return nil
}

// label gives a file the label that the policy has for its name in the tree.
// Regular files get it when they are stored, everything else at the end.
func (b *builder) label(name string, ino *tree.Inode) {
	if b.Contexts == nil {
		return
	}
	// The array may be shared with other inodes.
	xattrs := slices.DeleteFunc(slices.Clone(ino.Xattrs), func(x tree.Xattr) bool { return x.Name == selinux.Attribute })
	if label, ok := b.Contexts.Label("/"+name, ino.Mode); ok {
		// As the tools of SELinux do, the value ends with a NUL byte.
		xattrs = append(xattrs, tree.Xattr{Name: selinux.Attribute, Value: append([]byte(label), 0)})
	}
	ino.Xattrs = xattrs
}
