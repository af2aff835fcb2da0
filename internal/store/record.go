package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// maxRecord bounds a record, which takes about a kilobyte.
const maxRecord = 64 << 10

// Record is what is remembered of an image, so that nobody needs to read the
// image to show it. It counts only for the very file that it was made for.
type Record struct {
	// Digest is that of the whole file: "sha256:" and 64 hexadecimal digits.
	Digest string `json:"digest,omitempty"`
	// Source is where the file came from, without credentials.
	Source  string    `json:"source,omitempty"`
	Fetched time.Time `json:"fetched,omitzero"`
	// Verdict is what was found when the image was let in.
	Verdict *Summary `json:"verdict,omitempty"`
	// Identity is filled in by the store.
	Identity Identity `json:"identity"`
}

// Summary is a verdict in short.
type Summary struct {
	Result            string `json:"result,omitempty"`
	Protection        string `json:"protection,omitempty"`
	Signer            string `json:"signer,omitempty"`
	SignerFingerprint string `json:"signerFingerprint,omitempty"`
	Anchor            string `json:"anchor,omitempty"`
	RootHash          string `json:"rootHash,omitempty"`
	Architecture      string `json:"architecture,omitempty"`
	Kind              string `json:"kind,omitempty"`
	Version           string `json:"version,omitempty"`
	Reason            string `json:"reason,omitempty"`
}

// Identity tells one file, in one state, from every other: whoever writes to
// the file, or puts another in its place, changes it.
type Identity struct {
	Inode      uint64    `json:"inode"`
	Size       int64     `json:"size"`
	ModTime    time.Time `json:"modTime"`
	ChangeTime time.Time `json:"changeTime"`
}

// equal compares instants, whatever zone they are written in.
func (i Identity) equal(o Identity) bool { return i.ChangeTime.Equal(o.ChangeTime) && i.sameContent(o) }

// sameContent is equal but for the time that a mere change of name moves, too.
func (i Identity) sameContent(o Identity) bool {
	return i.Inode == o.Inode && i.Size == o.Size && i.ModTime.Equal(o.ModTime)
}

// parseRecord reads a record, strictly.
func parseRecord(text []byte) (*Record, error) {
	var r Record
	if err := parseStrict(text, maxRecord, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// parseStrict reads one JSON value without unknown fields, of at most limit
// bytes, with nothing but white space after it.
func parseStrict(text []byte, limit int, to any) error {
	if len(text) > limit {
		return fmt.Errorf("longer than %d bytes", limit)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the end")
	}
	return nil
}

// recordOf returns the name of the record of an image.
func recordOf(fileName string) string { return fileName + ".json" }

// remembered gives images their records.
func (s *Store) remembered(sc *scan) error {
	if s.dir == nil {
		return nil
	}
	records, err := s.dir.OpenRoot(recordsFolder)
	if err != nil {
		return ignoreNotExist(err)
	}
	defer records.Close()
	for name, image := range sc.images {
		if !image.Missing {
			image.Record = record(records, name, sc.infos[name])
		}
	}
	return nil
}

// hasRecord says whether something is remembered of a file in the store.
func (s *Store) hasRecord(fileName string, info fs.FileInfo) bool {
	records, err := s.dir.OpenRoot(recordsFolder)
	if err != nil {
		return false
	}
	defer records.Close()
	return record(records, fileName, info) != nil
}

// record returns what is remembered of the file that info is about, or nil.
// A record that cannot be read is none: it can be made again.
func record(records *os.Root, fileName string, info fs.FileInfo) *Record {
	r, err := readRecord(records, fileName)
	if err != nil {
		return nil
	}
	is, err := identify(info)
	if err != nil || !is.equal(r.Identity) {
		return nil
	}
	return r
}

func readRecord(records *os.Root, fileName string) (*Record, error) {
	text, err := readFile(records, recordOf(fileName), maxRecord)
	if err != nil {
		return nil, err
	}
	return parseRecord(text)
}

// seal returns the text of a record for the file fileName as it is now.
func (s *Store) seal(fileName string, r Record) ([]byte, error) {
	info, err := s.dir.Lstat(fileName)
	if err != nil {
		return nil, err
	}
	if r.Identity, err = identify(info); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return nil, err
	}
	if len(text) >= maxRecord {
		return nil, fmt.Errorf("a record of %d bytes, more than %d", len(text), maxRecord)
	}
	return append(text, '\n'), nil
}

// reseal renews a record whose file was moved there and back.
func (s *Store) reseal(fileName string) error {
	records, err := s.dir.OpenRoot(recordsFolder)
	if err != nil {
		return err
	}
	defer records.Close()
	r, err := readRecord(records, fileName)
	if err != nil {
		return nil // without a record nothing is to be renewed
	}
	info, err := s.dir.Lstat(fileName)
	if err != nil {
		return nil // as without its file
	}
	is, err := identify(info)
	if err != nil || !is.sameContent(r.Identity) || is.equal(r.Identity) {
		return err
	}
	return s.writeRecord(fileName, *r)
}

// writeRecord puts a record in place of the one there is.
func (s *Store) writeRecord(fileName string, r Record) error {
	text, err := s.seal(fileName, r)
	if err != nil {
		return err
	}
	at, next := path.Join(recordsFolder, recordOf(fileName)), path.Join(asideFolder, "record.new")
	if err := s.disk.writeFile(s.dir, next, text); err != nil {
		if noSpace(err) {
			return s.overwrite(at, text, err)
		}
		return err
	}
	return s.disk.rename(s.dir, next, at)
}

// overwrite writes a record into the block of the one there is, where a full
// disk has no other. If it is cut short, the record counts no more.
func (s *Store) overwrite(at string, text []byte, full error) error {
	f, err := s.dir.OpenFile(at, os.O_RDWR, 0)
	if err != nil {
		return full
	}
	defer f.Close()
	if err := s.disk.writeAt(f, text, 0); err != nil {
		return err
	}
	if err := s.disk.truncate(f, int64(len(text))); err != nil {
		return err
	}
	return s.disk.sync(f)
}

// Remember records r for an image that is in the store already, one that
// another tool brought, say. If the file is not the one that image was made
// from any more, it is an error: what was found out is about another file.
func (s *Store) Remember(image Image, r Record) error {
	if s.held == nil {
		return errNotLocked
	}
	wrap := func(err error) error { return s.explain(fmt.Errorf("recording what %q is: %w", image.FileName, err)) }
	info, err := s.dir.Lstat(image.FileName)
	if err != nil {
		return wrap(err)
	}
	is, err := identify(info)
	if err != nil {
		return wrap(err)
	}
	if !is.equal(image.identity) {
		return wrap(errors.New("the file was changed meanwhile"))
	}
	if err := s.writeRecord(image.FileName, r); err != nil {
		return wrap(err)
	}
	return nil
}
