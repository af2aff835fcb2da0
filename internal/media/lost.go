package media

import (
	"fmt"
	"strings"

	"inlay/internal/tree"
)

// Lost counts the attributes of files that an initrd cannot hold.
type Lost struct {
	// Capabilities are the files, all of them, that had privileges of their own.
	Capabilities []string `json:"capabilities,omitempty"`
	Labels       int      `json:"labels,omitempty"` // of SELinux or another module
	ACLs         int      `json:"acls,omitempty"`
	Others       int      `json:"others,omitempty"`
}

func (l *Lost) add(name string, x tree.Xattr) {
	switch {
	case x.Name == "security.capability":
		l.Capabilities = append(l.Capabilities, "/"+name)
	case strings.HasPrefix(x.Name, "security."):
		l.Labels++
	case strings.HasPrefix(x.Name, "system.posix_acl_"):
		l.ACLs++
	default:
		l.Others++
	}
}

// warnings says in words what was lost; labels are no loss where nothing reads them.
func (l *Lost) warnings() []string {
	var list []string
	if n := len(l.Capabilities); n > 0 {
		list = append(list, fmt.Sprintf("an initrd holds no file capabilities, so %s will have none: whoever is not root cannot use what needs them",
			shortList(l.Capabilities)))
	}
	if l.ACLs > 0 {
		list = append(list, fmt.Sprintf("an initrd holds no access control lists: %d of them are lost", l.ACLs))
	}
	return list
}

// maxNamed is how many names a message lists.
const maxNamed = 5

func shortList(list []string) string {
	if len(list) <= maxNamed {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:maxNamed], ", "), len(list)-maxNamed)
}
