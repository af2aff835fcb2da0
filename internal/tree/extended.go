package tree

import (
	"archive/tar"
	"bytes"
	"time"
)

// maxExtended bounds an extended header that is read here, in bytes. More are
// for archive/tar, which has a bound of its own.
const maxExtended = 64 << 10

// extended is what the records of a PAX header (POSIX.1-2001) say of the entry
// that follows. Empty values leave what the entry says itself.
type extended struct {
	path, link    []byte
	size          number
	uid, gid      number
	seconds, nano number            // of the modification time
	others        map[string]string // with which the attributes come
}

// number is one that may be missing.
type number struct {
	value int64
	there bool
}

// parse reads the records. It is false if any of them is not an ordinary one,
// be it wrong or only rare.
func (x *extended) parse(b []byte) bool {
	for len(b) > 0 {
		digits, rest, ok := bytes.Cut(b, []byte{' '})
		n, plain := decimal(digits)
		if !ok || !plain || n > int64(len(b)) || n < int64(len(digits))+4 || b[n-1] != '\n' {
			return false
		}
		key, value, ok := bytes.Cut(rest[:n-int64(len(digits))-2], []byte{'='})
		if !ok || len(key) == 0 || bytes.IndexByte(key, 0) >= 0 || !x.record(key, value) {
			return false
		}
		b = b[n:]
	}
	return true
}

// record takes one record. Of two with the same key, the later one counts.
func (x *extended) record(key, value []byte) (ok bool) {
	switch string(key) {
	case "path":
		x.path = value
	case "linkpath":
		x.link = value
	case "uname", "gname": // only numbers count
	case "size":
		x.size, ok = optional(value)
		return ok
	case "uid":
		x.uid, ok = optional(value)
		return ok
	case "gid":
		x.gid, ok = optional(value)
		return ok
	case "mtime":
		x.seconds, x.nano, ok = moment(value)
		return ok
	case "atime", "ctime":
		_, _, ok = moment(value)
		return ok
	default:
		if bytes.HasPrefix(key, []byte("GNU.sparse.")) {
			return false
		}
		if x.others == nil {
			x.others = make(map[string]string)
		}
		x.others[string(key)] = string(value)
		return true
	}
	return bytes.IndexByte(value, 0) < 0
}

// apply changes what the entry itself says.
func (x *extended) apply(h *tar.Header) {
	if len(x.path) > 0 {
		h.Name = string(x.path)
	}
	if len(x.link) > 0 {
		h.Linkname = string(x.link)
	}
	if x.size.there {
		h.Size = x.size.value
	}
	if x.uid.there {
		h.Uid = int(x.uid.value)
	}
	if x.gid.there {
		h.Gid = int(x.gid.value)
	}
	if x.seconds.there {
		h.ModTime = time.Unix(x.seconds.value, x.nano.value)
	}
	h.PAXRecords = x.others
}

// decimal reads a number of 1 to 18 digits.
func decimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// optional is decimal for a value that may be empty.
func optional(b []byte) (number, bool) {
	if len(b) == 0 {
		return number{}, true
	}
	n, ok := decimal(b)
	return number{n, true}, ok
}

// moment reads a time that is not before 1970, or nothing.
func moment(b []byte) (seconds, nano number, ok bool) {
	whole, fraction, _ := bytes.Cut(b, []byte{'.'})
	if len(b) == 0 {
		return number{}, number{}, true
	}
	if seconds.value, ok = decimal(whole); !ok {
		return number{}, number{}, false
	}
	seconds.there = true
	// What is finer than a nanosecond is cut off.
	for i := range max(9, len(fraction)) {
		digit := byte('0')
		if i < len(fraction) {
			digit = fraction[i]
		}
		if digit < '0' || digit > '9' {
			return number{}, number{}, false
		}
		if i < 9 {
			nano.value = nano.value*10 + int64(digit-'0')
		}
	}
	return seconds, nano, true
}
