package media

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/stage"
	"inlay/internal/tree"
)

// FromRoot is what InitrdResult.From says of a packed root.
const FromRoot = "root"

// InitrdResult says what the initrd is.
type InitrdResult struct {
	// From is FromRoot if the whole root file system was packed, else the path of
	// the initrd in the source.
	From string `json:"from"`
	Size int64  `json:"size"` // as the image holds it, in bytes
	// Of a packed root: files, their bytes, and what is started first.
	Files   int    `json:"files,omitempty"`
	Content int64  `json:"content,omitempty"`
	Init    string `json:"init,omitempty"`
	Lost    *Lost  `json:"lost,omitempty"`
}

// packed says whether a packed root holds name: not the content of folders that
// are mounted over, and nothing of /boot, where the kernel lies once more.
func packed(name string) bool { return Wanted(name) && !strings.HasPrefix(name, "boot/") }

// inits are the programs that can be the first, the best first.
func inits() []string {
	return []string{"usr/bin/immucore", "usr/lib/systemd/systemd", "lib/systemd/systemd", "usr/sbin/init", "sbin/init", "usr/bin/init", "bin/init"}
}

// prepareRoot makes a root file system one that the kernel can start from: what
// it runs first, and the folders that this mounts over.
func (s *System) prepareRoot() (init string, err error) {
	for _, folder := range transient() {
		perm := uint32(0o755)
		if folder == "tmp" {
			perm = 0o1777
		}
		if err := s.addFolder(folder, perm); err != nil {
			return "", err
		}
	}
	if s.Kairos() {
		// Where the node mounts its data and the ESP, and installers put files.
		for _, folder := range []string{"oem", "efi", "usr/local/cloud-config"} {
			if err := s.addFolder(folder, 0o755); err != nil {
				return "", err
			}
		}
	}
	return s.init()
}

func (s *System) addFolder(name string, perm uint32) error {
	if s.tree.Lookup(name) != nil {
		return nil
	}
	return s.tree.Insert(name, tree.NewInode(tree.Directory, perm))
}

// init sees to /init, which the kernel starts, and returns where it leads.
func (s *System) init() (string, error) {
	if s.tree.Lookup("init") == nil {
		at := slices.IndexFunc(inits(), func(name string) bool { return s.executable(name) })
		if at < 0 {
			return "", hint.Wrap(errors.New("the source has nothing that could be started first: no /init, immucore, systemd or /sbin/init"),
				"install systemd or another init in the source, or put an /init there with --overlay-rootfs")
		}
		link := tree.NewInode(tree.Symlink, 0o777)
		link.Target = "/" + inits()[at]
		if err := s.tree.Insert("init", link); err != nil {
			return "", err
		}
	}
	if !s.executable("init") {
		return "", hint.Wrap(errors.New("/init, which the kernel starts first, is no program"), "make it an executable file, or a link to one, or remove it so that the system's own init is used")
	}
	at, _ := s.Find("init")
	return "/" + at, nil
}

func (s *System) executable(name string) bool {
	_, ino, err := s.resolve(name)
	return err == nil && ino.Kind() == tree.Regular && ino.Mode&0o111 != 0 && ino.Size > 0
}

// verityFolder is where systemd, in the initrd and later, looks for
// certificates that vouch for extensions.
const verityFolder = "usr/lib/verity.d"

// addCertificates puts certificates where systemd and the boot step look.
func (s *System) addCertificates(list []Certificate) ([]string, error) {
	var added []string
	for _, c := range list {
		name := path.Join(verityFolder, c.Name+".crt")
		if s.tree.Lookup(name) != nil {
			return nil, hint.Wrap(fmt.Errorf("the source has a certificate %q already", "/"+name), "give the new one another name, or leave it out")
		}
		node := tree.NewInode(tree.Regular, 0o644)
		if err := s.addFile(name, node, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate.Raw})); err != nil {
			return nil, err
		}
		added = append(added, "/"+name)
	}
	return added, nil
}

// addFile puts a small file into the tree.
func (s *System) addFile(name string, node *tree.Inode, content []byte) error {
	node.Size, node.Stored = int64(len(content)), true
	if s.made == nil {
		s.made = map[*tree.Inode][]byte{}
	}
	s.made[node] = content
	return s.tree.Insert(name, node)
}

// initrd is what the kernel unpacks: one file or two, in the order given.
type initrd struct {
	parts  []*io.SectionReader
	result InitrdResult
	close  func()
}

// packRoot packs the whole root into a file without a name in dir.
func (s *System) packRoot(ctx context.Context, dir string) (*initrd, error) {
	init, err := s.prepareRoot()
	if err != nil {
		return nil, err
	}
	all := s.members(packed)
	result := InitrdResult{From: FromRoot, Init: init}
	lost := &Lost{}
	for _, m := range all {
		if !m.last {
			continue
		}
		if m.node.Kind() == tree.Regular {
			result.Files++
			result.Content += m.node.Size
		}
		for _, x := range m.node.Xattrs {
			lost.add(m.name, x)
		}
	}
	if len(lost.Capabilities)+lost.Labels+lost.ACLs+lost.Others > 0 {
		result.Lost = lost
	}
	part, file, err := s.packMembers(ctx, dir, all)
	if err != nil {
		return nil, err
	}
	result.Size = part.Size()
	return &initrd{[]*io.SectionReader{part}, result, file.Discard}, nil
}

// packMembers writes an archive into a file without a name.
func (s *System) packMembers(ctx context.Context, dir string, all []*member) (*io.SectionReader, *stage.File, error) {
	file, err := stage.Create(filepath.Join(dir, "inlay-initrd"), 0o600)
	if err != nil {
		return nil, nil, err
	}
	c := compressor{system: s, level: level}
	if err := c.write(ctx, file, all); err != nil {
		file.Discard()
		return nil, nil, fmt.Errorf("packing the initrd: %w", err)
	}
	size, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		file.Discard()
		return nil, nil, err
	}
	return io.NewSectionReader(file, 0, size), file, nil
}

// sourceInitrd is the source's own, and an archive with the certificates behind
// it, which the kernel unpacks over it.
func (s *System) sourceInitrd(ctx context.Context, dir string, k *Kernel, certificates []string) (*initrd, error) {
	at, err := s.Initrd(k)
	if err != nil {
		return nil, err
	}
	f, err := s.Open(at)
	if err != nil {
		return nil, err
	}
	in := &initrd{[]*io.SectionReader{f.SectionReader}, InitrdResult{From: "/" + at, Size: f.Size()}, f.Close}
	if f.Size() == 0 {
		in.close()
		return nil, hint.Wrap(fmt.Errorf("the initrd %q is empty", "/"+at), "make it again in the source")
	}
	if len(certificates) == 0 {
		return in, nil
	}
	keep := func(name string) bool {
		return name != "" && slices.ContainsFunc(certificates, func(c string) bool { return c == "/"+name || strings.HasPrefix(c, "/"+name+"/") })
	}
	part, file, err := s.packMembers(ctx, dir, s.members(keep))
	if err != nil {
		in.close()
		return nil, err
	}
	in.parts = append(in.parts, part)
	in.result.Size += part.Size()
	in.close = func() { f.Close(); file.Discard() }
	return in, nil
}
