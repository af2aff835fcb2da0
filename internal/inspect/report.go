package inspect

import "time"

// Report is what an extension holds. Keys that systemd-dissect --json has too
// have its names and values; docs/json.md lists them all.
type Report struct {
	Name         string `json:"name"`
	Size         int64  `json:"size"`
	SectorSize   int    `json:"sectorSize,omitempty"`
	Architecture string `json:"architecture,omitempty"`
	ImageUUID    string `json:"imageUuid,omitempty"`
	Metadata
	*Uses
	Mounts []Mount `json:"mounts"`

	// Form is "disk image", "file system" or "folder".
	Form string `json:"form"`
	// Kind is "sysext", "confext" or "" and ExtensionName the name that its
	// release file goes by.
	Kind          string `json:"kind,omitempty"`
	ExtensionName string `json:"extensionName,omitempty"`
	// Compression names the algorithms of an EROFS, "none" if there is none, and
	// Kernel the Linux that it takes.
	Compression []string `json:"compression,omitempty"`
	Kernel      *Kernel  `json:"kernel,omitempty"`
	// RootHash is stated by the partitions and confirmed by the hash tree's top.
	RootHash   string `json:"rootHash,omitempty"`
	VerityUUID string `json:"verityUuid,omitempty"`
	Salt       string `json:"veritySalt,omitempty"`
	// Signature is "present", "deferred" or "unsigned". Nothing was verified.
	Signature string  `json:"signature"`
	Signer    *Signer `json:"signer,omitempty"`
	Files     []File  `json:"files,omitempty"`
	// Unread says what could not be read, and why.
	Unread []string `json:"unread,omitempty"`
}

// Kernel is the oldest Linux that mounts an extension.
type Kernel struct {
	Version string `json:"version"`
	// Because names the features that came with that version.
	Because []string `json:"because,omitempty"`
}

// Metadata are the files that say what a tree is for; lists hold their lines.
type Metadata struct {
	Hostname       string   `json:"hostname,omitempty"`
	MachineID      string   `json:"machineId,omitempty"`
	MachineInfo    []string `json:"machineInfo,omitempty"`
	OSRelease      []string `json:"osRelease,omitempty"`
	InitrdRelease  []string `json:"initrdRelease,omitempty"`
	SysextRelease  []string `json:"sysextRelease,omitempty"`
	ConfextRelease []string `json:"confextRelease,omitempty"`
}

// Mount is one partition, or a file system without partitions. What is nil is
// null in JSON, as with systemd-dissect.
type Mount struct {
	ReadWrite    string  `json:"rw"`
	Designator   string  `json:"designator"`
	UUID         *string `json:"partition_uuid"`
	Label        *string `json:"partition_label"`
	FileSystem   *string `json:"fstype"`
	Architecture *string `json:"architecture"`
	// Verity is "signed", "yes" or "no" by structure alone.
	Verity *string `json:"verity"`
	GrowFS bool    `json:"growfs"`
	// Node is the file of a file system without partitions: for a partition
	// there is no device.
	Node   *string `json:"node"`
	Number *int    `json:"partno"`
	// Offset and Size in bytes.
	Offset int64 `json:"offset"`
	Size   int64 `json:"size"`
}

// Signer is who a signature says that it is by.
type Signer struct {
	Subject     string     `json:"subject,omitempty"`
	Issuer      string     `json:"issuer"`
	Serial      string     `json:"serial"`
	Hash        string     `json:"hash"`
	Fingerprint string     `json:"fingerprint,omitempty"`
	NotBefore   *time.Time `json:"notBefore,omitempty"`
	NotAfter    *time.Time `json:"notAfter,omitempty"`
}

// File is one name in the tree.
type File struct {
	Path string `json:"path"`
	// Mode as ls(1) prints it.
	Mode   string `json:"mode"`
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	Size   int64  `json:"size"`
	Links  int    `json:"links"`
	MTime  Time   `json:"mtime"`
	Target string `json:"target,omitempty"`
	// Device is "MAJOR:MINOR".
	Device string `json:"device,omitempty"`
	// Xattrs are the names of the extended attributes.
	Xattrs []string `json:"xattrs,omitempty"`
}

func (r *Report) unread(what string, err error) {
	r.Unread = append(r.Unread, what+": "+err.Error())
}
