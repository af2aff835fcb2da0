package layer

import (
	"context"
	"errors"
)

// ConflictKind says what meets in one path.
type ConflictKind string

// The kinds of conflict.
const (
	OverHost      ConflictKind = "extension over host"
	OverExtension ConflictKind = "extension over extension"
	FileOverDir   ConflictKind = "file over folder" // all that is in the folder vanishes
	DirOverLink   ConflictKind = "folder over link" // what the link leads to isn't seen there any more
	DirOverFile   ConflictKind = "folder over file"
)

// Host stands for the host among the names of extensions: no extension is called
// so, as a name has no slash.
const Host = "/"

// Conflict is a path that more than one brings.
type Conflict struct {
	Path string       `json:"path"`
	Kind ConflictKind `json:"kind"`
	// Winner and Losers are names of extensions, or Host; the losers topmost first.
	Winner string   `json:"winner"`
	Losers []string `json:"losers"`
	// Same says that all of them bring the same content.
	Same bool `json:"same,omitempty"`
}

// Conflicts returns the paths that two extensions, or an extension and the host,
// both bring, in bytewise order.
func (p *Plan) Conflicts(ctx context.Context) ([]Conflict, error) {
	return nil, errors.New("not yet")
}

// Vanishing returns the host's paths that would not be seen any more, in bytewise
// order: for a folder, its path alone.
func (p *Plan) Vanishing(ctx context.Context) ([]string, error) {
	return nil, errors.New("not yet")
}

// Folder is a folder of the host whose attributes an extension would change.
type Folder struct {
	// Path is absolute, below the root.
	Path string
	// Mode, UID, GID and Label (nil if there is none) are the host's.
	Mode     uint32
	UID, GID uint32
	Label    []byte
	// Extension is the topmost one that has the folder, with others.
	Extension string
}
