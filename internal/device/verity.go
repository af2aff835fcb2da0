package device

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
	"inlay/internal/verity"
)

// Mapping is a dm-verity device in use. It lasts as long as it is open here or
// mounted.
type Mapping struct {
	Name   string
	Number Number
	// Shared says that it was there already, made by us or by systemd.
	Shared bool
	// KernelVerified says that the kernel has checked the signature of the root
	// hash by a key of its own. Where it was given one and has not, Unverified says
	// why.
	KernelVerified bool
	Unverified     error

	file *os.File
	path string
}

// VerityName is the name that systemd gives to the device of a root hash, and
// by which it finds one to share.
func VerityName(root [verity.DigestSize]byte) string { return fmt.Sprintf("%x-verity", root) }

// mapperUUID is the UUID that libcryptsetup gives to a dm-verity device.
func mapperUUID(name string, s verity.Superblock) string {
	return fmt.Sprintf("CRYPT-VERITY-%x-%s", s.UUID, name)
}

// Verity makes the dm-verity device of t under a name, that of [VerityName]
// unless there is a reason for another. A device of that name which gives out
// exactly the same, and has not come upon a corrupt block, is shared; any other
// is ErrTaken. ErrNoMapper says that there is no dm-verity. On error no device
// stays.
func Verity(ctx context.Context, name string, t VerityTable) (*Mapping, error) {
	m, err := activate(ctx, name, t)
	if err != nil {
		return nil, fmt.Errorf("setting up dm-verity device %q: %w", name, err)
	}
	return m, nil
}

// File is the open device. It belongs to m.
func (m *Mapping) File() *os.File { return m.file }

// Path names the device, for mount(2) too: /dev/dm-N, or, where /dev lacks that,
// a path in /proc that is valid in this process while m is open.
func (m *Mapping) Path() string { return m.path }

// Close gives the device up. Unless an administrator keeps it, it is gone with
// its last user.
func (m *Mapping) Close() error { return m.file.Close() }

// abandoned is the number of tries, about a second of them, after which nobody
// is waited for who makes a device.
const abandoned = 30

func activate(ctx context.Context, name string, t VerityTable) (m *Mapping, err error) {
	if err := errors.Join(checkName(name), t.check()); err != nil {
		return nil, err
	}
	c, err := openControl()
	if err != nil {
		return nil, err
	}
	defer c.close()
	unready := 0
	err = patiently(ctx, func() (again bool, err error) {
		m, err = c.create(name, t)
		if !errors.Is(err, errExists) {
			return false, err
		}
		m, err = c.share(name, t)
		if errors.Is(err, errUnready) {
			if unready++; unready == abandoned {
				err = errors.Join(err, c.clearAway(name))
			}
		}
		// Its last user has left, or whoever makes it has not finished.
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENXIO) || errors.Is(err, errUnready), err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// checkName refuses what libdevmapper would write in another way.
func checkName(name string) error {
	if name == "" || len(name) >= unix.DM_NAME_LEN {
		return fmt.Errorf("a name of %d bytes, want 1 to %d", len(name), unix.DM_NAME_LEN-1)
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '#' || c == '+' || c == '-' || c == '.' || c == ':' || c == '=' || c == '@' || c == '_':
		default:
			return fmt.Errorf("the name has a %q", c)
		}
	}
	if name == "." || name == ".." || name == unix.DM_CONTROL_NODE {
		return errors.New("the name means something else")
	}
	return nil
}

// errExists says that there is a device of the name, or of the UUID.
var errExists = errors.New("it exists")

// create makes the device. Once it is open it is marked for removal by its last
// close, before it works: whatever stops us from there on, the kernel clears up.
// Until then, a few milliseconds, only a kill leaves something, see clearAway.
// It cannot be opened earlier: since Linux 5.15 it has no node before its table.
func (c *control) create(name string, t VerityTable) (_ *Mapping, err error) {
	made, err := c.do(unix.DM_DEV_CREATE, request{name: name, uuid: mapperUUID(name, t.Superblock)})
	if errors.Is(err, unix.EBUSY) {
		return nil, errExists
	}
	if err != nil {
		return nil, fmt.Errorf("creating it: %w", err)
	}
	m := &Mapping{Name: name, Number: made.number}
	err = c.loadSigned(m, t)
	if err == nil {
		m.file, m.path, err = mapperNode(made.number).open(unix.O_RDONLY)
	}
	if removal := c.remove(name); removal != nil { // at once, if it is not open
		err = errors.Join(err, fmt.Errorf("marking it for removal: %w", removal))
	}
	if err == nil {
		err = c.resume(m, t)
	}
	if err != nil {
		if m.file != nil {
			m.file.Close()
		}
		return nil, err
	}
	return m, nil
}

// clearAway removes a device that has no table in use and that nobody has open:
// what is left if its maker was killed in the middle.
func (c *control) clearAway(name string) error {
	a, err := c.do(unix.DM_DEV_STATUS, request{name: name})
	if err != nil || a.flags&unix.DM_ACTIVE_PRESENT_FLAG != 0 || a.open != 0 {
		return err
	}
	_, err = c.do(unix.DM_DEV_REMOVE, request{name: name})
	return err
}

// mapperNode is the kernel's node of a mapped device.
func mapperNode(number Number) node {
	return node{fmt.Sprintf("dm-%d", number.Minor), unix.S_IFBLK, number}
}

// resume lets the device work, and makes sure that it is the one that was meant.
func (c *control) resume(m *Mapping, t VerityTable) error {
	if _, err := c.do(unix.DM_DEV_SUSPEND, request{name: m.Name}); err != nil { // resumes, without the flag
		return fmt.Errorf("resuming it: %w", err)
	}
	size, err := deviceSize(m.file)
	if err != nil {
		return err
	}
	if want := int64(t.Superblock.DataBlocks) * verity.BlockSize; size != want {
		return fmt.Errorf("it has %d bytes, not %d", size, want)
	}
	status, err := c.status(request{number: m.Number})
	if err != nil {
		return err
	}
	return status.shows(t)
}

// loadSigned loads the table with the signature, for the kernel to check; and,
// if that will not do and need not, without.
func (c *control) loadSigned(m *Mapping, t VerityTable) error {
	if len(t.Signature) > 0 {
		key := "inlay:" + m.Name
		m.Unverified = withKey(key, t.Signature, func() error { return c.load(m.Name, t.target(key)) })
		if m.Unverified == nil {
			m.KernelVerified = true
			return nil
		}
		m.Unverified = explainKey(m.Unverified)
		if t.RequireKernel {
			return hint.Default(m.Unverified, "enrol the signer's certificate in the firmware's db, or build it into the kernel")
		}
	}
	err := c.load(m.Name, t.target(""))
	if !errors.Is(err, unix.ENOKEY) {
		return err
	}
	err = errors.New("the kernel takes only dm-verity devices whose signature it trusts itself (dm_verity.require_signatures)")
	if m.Unverified != nil {
		err = fmt.Errorf("%w: %w", err, m.Unverified)
	}
	return hint.Wrap(err, "sign the image with a key whose certificate is in the firmware's db or built into the kernel")
}

// load gives the device a table, which it uses once it is resumed.
func (c *control) load(name string, line target) error {
	_, err := c.do(unix.DM_TABLE_LOAD, request{
		name: name, flags: unix.DM_READONLY_FLAG, targets: 1, data: line.encode(),
	})
	if err != nil {
		return fmt.Errorf("loading its table: %w", err)
	}
	return nil
}

// explainKey puts into words what the kernel has against a signature.
func explainKey(err error) error {
	for _, known := range []struct {
		errno error
		text  string
	}{
		{unix.ENOKEY, "no key that the kernel trusts has made the signature"},
		{unix.EKEYREJECTED, "the signature is not one of this root hash"},
		{unix.EKEYREVOKED, "the kernel holds the key for revoked"},
		{unix.ENOPKG, "the kernel does not know the signature's algorithm"},
		{unix.EBADMSG, "the kernel cannot read the signature"},
		{unix.EINVAL, "the signature is bad, or the kernel checks none (CONFIG_DM_VERITY_VERIFY_ROOTHASH_SIG)"},
		{unix.EPERM, "keys may not be handed to the kernel here"},
		{unix.ENOSYS, "the kernel keeps no keys"},
	} {
		if errors.Is(err, known.errno) {
			return fmt.Errorf("%s: %w", known.text, err)
		}
	}
	return err
}
