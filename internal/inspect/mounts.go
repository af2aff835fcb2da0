package inspect

import (
	"io"
	"slices"

	"inlay/internal/content"
	"inlay/internal/ddi"
	"inlay/internal/gpt"
	"inlay/internal/guid"
)

// growFS is the attribute of a partition whose file system grows with it
// (UAPI.2).
const growFS uint64 = 1 << 59

// partitions fills Mounts in the shape of systemd-dissect's.
func (r *Report) partitions(image *ddi.Image) {
	for _, p := range image.Table.Partitions {
		m := Mount{
			ReadWrite: "rw", UUID: text(p.GUID.String()), Label: text(p.Label), Number: &p.Number,
			Offset: image.Table.Offset(p), Size: image.Table.Length(p),
		}
		d, known := gpt.Lookup(p.Type)
		switch {
		case known && d.Role == gpt.Verity:
			m.FileSystem = text("DM_verity_hash")
		case known && d.Role == gpt.Signature:
			m.FileSystem = text("verity_hash_signature")
		case known || p.Number == image.Data.Number:
			section := image.Section(p)
			kind, _ := content.Probe(section, section.Size())
			m.FileSystem = text(kind)
			m.Verity = text(verityWord(image))
		}
		if known {
			m.Designator, m.Architecture = designator(d), text(d.Architecture)
		} else if p.Number == image.Data.Number {
			m.Designator = image.Designator
			m.Label = nil // of a type that anything may have, it says nothing
		}
		if p.Attributes&gpt.ReadOnly != 0 || known && d.Role != gpt.Data || readOnly(m.FileSystem) {
			m.ReadWrite = "ro"
		}
		m.GrowFS = p.Attributes&growFS != 0 && m.ReadWrite == "rw"
		r.Mounts = append(r.Mounts, m)
	}
}

// naked fills Mounts for a file system without a partition table.
func (r *Report) naked(section *io.SectionReader, path string) {
	kind, _ := content.Probe(section, section.Size())
	m := Mount{
		ReadWrite: "rw", Designator: gpt.Root, FileSystem: text(kind), Node: &path, Size: section.Size(),
	}
	if readOnly(m.FileSystem) {
		m.ReadWrite = "ro"
	}
	r.Mounts = append(r.Mounts, m)
	// What systemd-dissect says where it cannot tell.
	r.SectorSize = gpt.MinSectorSize
	if uuid, found := content.UUID(section, section.Size()); found {
		r.ImageUUID = guid.GUID(uuid).String()
	}
}

// readOnly says whether a file system cannot be written by its nature.
func readOnly(fileSystem *string) bool {
	return fileSystem != nil && slices.Contains([]string{"erofs", "squashfs"}, *fileSystem)
}

// text is s, or null if there is nothing to say.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// designator is systemd's name of a partition: root, root-verity, root-verity-sig.
func designator(d gpt.Discoverable) string {
	switch d.Role {
	case gpt.Verity:
		return d.Designator + "-verity"
	case gpt.Signature:
		return d.Designator + "-verity-sig"
	}
	return d.Designator
}

func verityWord(image *ddi.Image) string {
	switch {
	case image.Signed != nil:
		return "signed"
	case image.Verity != nil:
		return "yes"
	}
	return "no"
}
