package witness_test

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// set is a tree that is hard to pack.
type set struct {
	name    string
	members iter.Seq[member]
	only    []string // packings; nil is all of them
}

// member is one name in a layer.
type member struct {
	header  tar.Header
	content string
}

func sets() []set {
	return []set{
		{name: "100000 small files", members: manyFiles, only: oneOfEach()},
		{name: "a folder of 50000", members: wideFolder, only: oneOfEach()},
		{name: "long names", members: longNames},
		{name: "attributes", members: attributes},
		{name: "hard links", members: hardLinks},
		{name: "types, modes, owners and times", members: kinds},
		{name: "sizes", members: sizes},
	}
}

// old is the time of members that are not about times.
func old() time.Time { return time.Unix(1_600_000_000, 0) }

func directory(name string) member {
	return member{header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755, ModTime: old()}}
}

func regular(name, content string) member {
	return member{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: old()}, content}
}

func special(name string, kind byte, mode, major, minor int64) member {
	return member{header: tar.Header{Typeflag: kind, Name: name, Mode: mode, Devmajor: major, Devminor: minor, ModTime: old()}}
}

func link(name, target string) member {
	return member{header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, ModTime: old()}}
}

func symlink(name, target string) member {
	return member{header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777, ModTime: old()}}
}

// with adds an extended attribute.
func with(m member, name, value string) member {
	records := map[string]string{"SCHILY.xattr." + name: value}
	maps.Copy(records, m.header.PAXRecords)
	m.header.PAXRecords = records
	return m
}

// random is what cannot be compressed, the same for the same seed.
func random(seed byte, size int) string {
	b := make([]byte, size)
	// It always fills all of it.
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return string(b)
}

// text is what can be compressed, but not to nothing: numbers of two to four
// letters, some thousands of different ones.
func text(seed uint64, size int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, size+8)
	for len(b) < size {
		b = strconv.AppendInt(b, int64(r.IntN(4000)*211), 36)
		b = append(b, " \n,."[r.IntN(4)])
	}
	return string(b[:size])
}

// folders gives a list of folders as members, the parents of each before it.
func folders(yield func(member) bool, names ...string) bool {
	seen := map[string]bool{}
	for _, name := range names {
		var all []string
		for ; name != "."; name = path.Dir(name) {
			all = append(all, name)
		}
		for _, one := range slices.Backward(all) {
			if !seen[one] && !yield(directory(one)) {
				return false
			}
			seen[one] = true
		}
	}
	return true
}

func manyFiles(yield func(member) bool) {
	all := text(1, 4096)
	for i := range 100_000 {
		folder := fmt.Sprintf("usr/share/many/%03d", i/1000)
		if i%1000 == 0 && !folders(yield, folder) {
			return
		}
		// Some are alike, most are not, one in sixteen is empty.
		size := i % 16 * 41
		if !yield(regular(fmt.Sprintf("%s/file-%d", folder, i), fmt.Sprint(all[:size], i)[:size])) {
			return
		}
	}
}

func wideFolder(yield func(member) bool) {
	if !folders(yield, "usr/share/wide") {
		return
	}
	for i := range 50_000 {
		// Not in the order in which they are stored.
		n := i * 7919 % 50_000
		name := fmt.Sprintf("usr/share/wide/%s%d", strings.Repeat("x", n%40), n)
		m := regular(name, fmt.Sprint(n)[:n%2])
		if n%100 == 0 {
			m = directory(name)
		}
		if !yield(m) {
			return
		}
	}
}

func longNames(yield func(member) bool) {
	if !folders(yield, "usr/share") {
		return
	}
	in := "usr/share"
	// As deep as a path may be that is looked up at once, and one step more.
	for i := range 14 {
		in = path.Join(in, fmt.Sprintf("%02d", i)+strings.Repeat("f", 253))
		name := path.Join(in, strings.Repeat("n", 255))
		if !yield(directory(in)) || !yield(regular(name, text(uint64(i), 5000))) ||
			!yield(regular(path.Join(in, strings.Repeat("é", 127)+"x"), "")) ||
			!yield(symlink(path.Join(in, strings.Repeat("s", 255)), strings.Repeat("t", 4095-i))) {
			return
		}
	}
	for i := range 255 {
		if !yield(regular("usr/share/"+strings.Repeat("y", i+1), "")) {
			return
		}
	}
}

func attributes(yield func(member) bool) {
	if !folders(yield, "usr/share") {
		return
	}
	largest := with(regular("usr/share/largest", text(1, 9000)), "user.large", random(1, 65_535))
	largest = with(largest, "user.small", "")
	most := regular("usr/share/most", "")
	for i := range 200 {
		most = with(most, fmt.Sprintf("user.%03d%s", i, strings.Repeat("a", 200)), text(uint64(i), i*10))
	}
	named := with(directory("usr/share/folder"), "trusted.inlay", "y")
	named = with(named, "user."+strings.Repeat("n", 250), "255 bytes with its prefix")
	for _, m := range []member{
		largest, most, named,
		with(symlink("usr/share/link", "nowhere"), "trusted.inlay", "on a link"),
		with(special("usr/share/pipe", tar.TypeFifo, 0o600, 0, 0), "trusted.inlay", "on a pipe"),
		with(with(regular("usr/share/ping", "y"), "security.capability", "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), "user.x", "\x00\xff"),
	} {
		if !yield(m) {
			return
		}
	}
	// Labels that many share, beside values of their own.
	for i := range 3000 {
		m := with(regular(fmt.Sprint("usr/share/label-", i), text(uint64(i), i%50)), "security.selinux", fmt.Sprintf("system_u:object_r:t%d:s0\x00", i%7))
		if i%10 == 0 {
			m = with(m, "user.own", fmt.Sprint(i))
		}
		if !yield(m) {
			return
		}
	}
}

func hardLinks(yield func(member) bool) {
	if !folders(yield, "usr/a", "usr/b/c", "usr/d") {
		return
	}
	for i, size := range []int{0, 10, 4096, 70_000, 1 << 20} {
		first := fmt.Sprint("usr/a/file", i)
		if !yield(regular(first, text(uint64(i), size))) || !yield(link(fmt.Sprint("usr/b/c/file", i), first)) ||
			!yield(link(fmt.Sprint("usr/d/file", i), fmt.Sprint("usr/b/c/file", i))) {
			return
		}
	}
	for _, m := range []member{
		special("usr/a/pipe", tar.TypeFifo, 0o600, 0, 0), link("usr/b/pipe", "usr/a/pipe"),
		symlink("usr/a/symlink", "pipe"), link("usr/b/symlink", "usr/a/symlink"),
		special("usr/a/zero", tar.TypeChar, 0o666, 1, 5), link("usr/b/zero", "usr/a/zero"),
		regular("usr/a/loved", "by many"),
	} {
		if !yield(m) {
			return
		}
	}
	// Meanwhile the first one has long been written.
	for i := range 2000 {
		name := fmt.Sprintf("usr/d/link%04d", i)
		if !yield(link(name, "usr/a/loved")) || !yield(regular(name+"-beside", text(uint64(i), 700))) {
			return
		}
	}
}

func kinds(yield func(member) bool) {
	if !folders(yield, "usr/share") {
		return
	}
	tool := regular("usr/share/setuid", "x")
	tool.header.Mode = 0o6755
	sticky := directory("usr/share/sticky")
	sticky.header.Mode = 0o3777
	closed := regular("usr/share/closed", "x")
	closed.header.Mode = 0
	foreign := regular("usr/share/foreign", "x")
	foreign.header.Uid, foreign.header.Gid = 65_536, 4_294_967_294
	all := []member{
		tool, sticky, closed, foreign, directory("usr/share/empty"), symlink("usr/share/up", ".."),
		special("usr/share/pipe", tar.TypeFifo, 0o640, 0, 0),
		special("usr/share/null", tar.TypeChar, 0o666, 1, 3),
		special("usr/share/last", tar.TypeChar, 0o600, 4095, 1_048_575),
		special("usr/share/disk", tar.TypeBlock, 0o660, 259, 70_000),
	}
	for i, when := range []time.Time{
		time.Unix(0, 0), time.Unix(0, 1), time.Unix(-1, 999_999_999), time.Unix(-1<<33, 5), time.Unix(1<<31, 0), time.Unix(1<<33, 123_456_789), old(),
	} {
		m := regular(fmt.Sprint("usr/share/time", i), text(uint64(i), 600))
		m.header.ModTime = when
		d := directory(fmt.Sprint("usr/share/folder", i))
		d.header.ModTime = when
		all = append(all, m, d)
	}
	for _, m := range all {
		if !yield(m) {
			return
		}
	}
}

// sizes are those around each border that a packing may have, of what can be
// compressed, of what cannot, of zeros and of what is a bit of all.
func sizes(yield func(member) bool) {
	if !folders(yield, "usr/share") {
		return
	}
	borders := []int{1, 16, 2048, 4096, 8192, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20}
	for i, border := range borders {
		for _, size := range []int{border - 1, border, border + 1} {
			mixed := text(uint64(i), size/3) + random(byte(i), size/3) + strings.Repeat("\x00", size-size/3*2)
			for name, content := range map[string]string{
				"text": text(uint64(i), size), "random": random(byte(i), size), "zeros": strings.Repeat("\x00", size),
				"same": strings.Repeat("a", size), "mixed": mixed, "back": random(byte(i), size/2) + text(uint64(i), size-size/2),
			} {
				if !yield(regular(fmt.Sprintf("usr/share/%s-%d", name, size), content)) {
					return
				}
			}
		}
	}
	// One file that is long enough for many pieces of many workers.
	yield(regular("usr/share/long", text(1, 5<<20)+random(1, 3<<20)+strings.Repeat("\x00", 2<<20)+text(2, 1<<20+77)))
}

// writeSet makes the layer and returns the lines that a snapshot of it is to have.
func writeSet(t *testing.T, name string, members iter.Seq[member]) map[string]string {
	t.Helper()
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := tar.NewWriter(out)
	type node struct {
		line  string
		attrs []string
		names []string
	}
	nodes := map[string]*node{}
	for m := range members {
		h := m.header
		h.Format = tar.FormatPAX
		if err := w.WriteHeader(&h); err != nil {
			t.Fatalf("%s: %v", m.header.Name, err)
		}
		if _, err := w.Write([]byte(m.content)); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeLink {
			n := nodes[h.Linkname]
			n.names = append(n.names, h.Name)
			nodes[h.Name] = n
			continue
		}
		n := &node{names: []string{h.Name}}
		nodes[h.Name] = n
		mode := m.header.FileInfo().Mode()
		n.line = fmt.Sprintf("%v %d:%d %s", mode, h.Uid, h.Gid, h.ModTime.UTC().Format("2006-01-02T15:04:05.999999999"))
		for key, value := range m.header.PAXRecords {
			n.attrs = append(n.attrs, fmt.Sprintf(" %s=%x", strings.TrimPrefix(key, "SCHILY.xattr."), value))
		}
		slices.Sort(n.attrs)
		end := ""
		switch {
		case mode.IsRegular():
			sum := sha256.Sum256([]byte(m.content))
			end = fmt.Sprintf(" %d %x", h.Size, sum[:8])
		case mode&fs.ModeSymlink != 0:
			end = " -> " + h.Linkname
		case mode&fs.ModeDevice != 0:
			end = fmt.Sprintf(" %d:%d", h.Devmajor, h.Devminor)
		}
		n.attrs = append([]string{end}, n.attrs...)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for name, n := range nodes {
		line := n.line
		if !strings.HasPrefix(line, "d") {
			line += fmt.Sprint(" links=", len(n.names))
			// A snapshot says which name it met before, folder by folder.
			slices.SortFunc(n.names, func(a, b string) int {
				return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
			})
			if i := slices.Index(n.names, name); i > 0 {
				line += " same=" + n.names[i-1]
			}
		}
		lines[name] = line + strings.Join(n.attrs, "")
	}
	return lines
}
