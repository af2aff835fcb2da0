package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/cms"
	"inlay/internal/ddi"
)

const (
	// recordName is the extended attribute of an image that says what it was
	// built of. It comes and goes with the file, in the same rename; a copy without
	// it is an image like any other, of which nothing is known.
	recordName = "user.inlay.build"
	// maxRecord bounds it, in bytes: what ext4 has room for in a block.
	maxRecord = 3800
)

// record is what an image says of its build.
type record struct {
	Identity string `json:"identity"`
	// Size and Modified are those of the file: whoever writes to it changes the
	// time, and whoever copies it keeps both or loses the record.
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // in nanoseconds
	Result   Result `json:"result"`
}

// record puts the record on the image, which is complete but for its name. Where
// that is not possible the image goes without, and is built again next time.
func (b *builder) record() {
	if b.identity == nil || !b.recordable() {
		return
	}
	if err := unix.Fsetxattr(int(b.file.Fd()), recordName, nil, 0); err != nil {
		return // before the stamp, which costs more
	}
	id := b.identity()
	if id != "" {
		// The kernel's clock for files goes in steps, and another's change within
		// the same one would leave the time as it is; at this time none does.
		now := unix.NsecToTimeval(time.Now().UnixNano())
		if err := unix.Futimes(int(b.file.Fd()), []unix.Timeval{now, now}); err == nil && writeRecord(b.file.File, id, *b.result) == nil {
			return
		}
	}
	_ = unix.Fremovexattr(int(b.file.Fd()), recordName) // an empty one says nothing either
}

// writeRecord records what f holds.
func writeRecord(f *os.File, id string, result Result) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	result.Path = ""
	text, err := json.Marshal(record{id, info.Size(), info.ModTime().UnixNano(), result})
	if err == nil && len(text) > maxRecord {
		err = fmt.Errorf("the record takes %d bytes", len(text))
	}
	if err != nil {
		return err
	}
	return unix.Fsetxattr(int(f.Fd()), recordName, text, 0)
}

// known is an image that says what it was built of.
type known struct {
	file   *os.File
	record record
}

// close lets go of the image, if there is one.
func (k *known) close() {
	if k != nil {
		_ = k.file.Close() // it was only read
	}
}

// recorded returns the image that is to be made, if it is there, has a record,
// and was not written to since; nil otherwise. Another's image, or a link to one, is not it.
func (o *Options) recorded() *known {
	if o.Again || !o.recordable() {
		return nil
	}
	f, err := os.OpenFile(o.path(), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	k := &known{file: f}
	if err := k.read(); err != nil {
		k.close()
		return nil
	}
	return k
}

func (k *known) read() error {
	info, err := k.file.Stat()
	if err != nil {
		return err
	}
	text := make([]byte, maxRecord)
	n, err := unix.Fgetxattr(int(k.file.Fd()), recordName, text)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text[:n], &k.record); err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != k.record.Size || info.ModTime().UnixNano() != k.record.Modified {
		return errors.New("it was written to")
	}
	// Whoever may write to the file may write its record, too.
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() || info.Mode()&0o022 != 0 {
		return errors.New("it is another's")
	}
	return nil
}

// unchanged returns the result of the build that made k, if it is what o makes
// of a source with that stamp: by the record, and by what the image itself says.
func (o *Options) unchanged(k *known, stamp string) *Result {
	if k == nil || stamp == "" || k.record.Identity != o.identify(stamp) || !o.holds(k) {
		return nil
	}
	result := k.record.Result
	result.Path, result.Size, result.Unchanged = o.path(), k.record.Size, true
	if o.Digest && result.SHA256 == "" {
		sum, err := digest(k.file, result.Size)
		if err != nil {
			return nil
		}
		result.SHA256 = sum
		again := result
		again.Unchanged = false
		// So that the next one need not read it all; if not, it will.
		_ = writeRecord(k.file, k.record.Identity, again)
	}
	if !o.Digest {
		result.SHA256 = ""
	}
	return &result
}

// holds looks at the image: the partition table and its copy, the top of the
// hash tree, and the signature, which must verify.
func (o *Options) holds(k *known) bool {
	image, err := ddi.Open(k.file, k.record.Size)
	if err != nil || len(image.Table.Damage) > 0 {
		return false
	}
	root, err := image.RootHash()
	if err != nil || hex.EncodeToString(root[:]) != k.record.Result.RootHash {
		return false
	}
	signature, err := image.Signature()
	switch {
	case o.DeferSignature:
		return errors.Is(err, ddi.ErrDeferred)
	case o.Signer == nil:
		return errors.Is(err, ddi.ErrUnsigned)
	case err != nil || signature.RootHash != root || signature.Fingerprint != sha256.Sum256(o.Signer.Certificate.Raw):
		return false
	}
	parsed, err := cms.Parse(signature.PKCS7)
	return err == nil && parsed.Verify(ddi.SignedText(root), o.Signer.Certificate) == nil
}
