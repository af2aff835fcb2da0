package build

import (
	"slices"

	"inlay/internal/selinux"
	"inlay/internal/tree"
)

// machineAttributes are set by the machine that a folder was made on and
// mean nothing, or harm, on the host that an image is made for.
func machineAttributes() []string {
	return []string{selinux.Attribute, "security.ima", "security.evm"}
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
			return slices.Contains(machineAttributes(), x.Name)
		})
	}
	if b.Contexts != nil {
		e.Xattrs = b.label(e.Name, tree.NewInode(e.Kind, e.Mode).Mode, e.Xattrs)
	}
	return nil
}

// label returns the attributes with the label that the policy gives to name.
func (b *builder) label(name string, mode uint32, xattrs []tree.Xattr) []tree.Xattr {
	if b.Contexts == nil {
		return xattrs
	}
	xattrs = slices.DeleteFunc(slices.Clone(xattrs), func(x tree.Xattr) bool { return x.Name == selinux.Attribute })
	label, ok := b.Contexts.Label("/"+name, mode)
	if !ok {
		return xattrs
	}
	// As the tools of SELinux do, the value ends with a NUL byte.
	return append(xattrs, tree.Xattr{Name: selinux.Attribute, Value: append([]byte(label), 0)})
}
