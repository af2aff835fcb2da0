package device_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/device"
	"inlay/internal/verity"
)

// spec is a struct dm_target_spec with its text, as the kernel answers it: next
// counts from the first.
func spec(next uint32, kind, text string) []byte {
	b := make([]byte, 40, 40+len(text)+8)
	binary.NativeEndian.PutUint64(b[8:], 800)
	binary.NativeEndian.PutUint32(b[20:], next)
	copy(b[24:], kind)
	b = append(b, text...)
	return append(b, make([]byte, 8-len(b)%8)...)
}

func TestParseTargets(t *testing.T) {
	t.Parallel()
	one := spec(48, "zero", "")
	two := append(spec(48, "linear", "7:1 0"), spec(96, "error", "")...)
	for _, c := range []struct {
		name  string
		data  []byte
		count uint32
		want  []string // kind and text
		err   string
	}{
		{name: "none", data: one, count: 0},
		{name: "one", data: one, count: 1, want: []string{"zero "}},
		{name: "two", data: two, count: 2, want: []string{"linear 7:1 0", "error "}},
		{name: "one of two", data: two, count: 1, want: []string{"linear 7:1 0"}},
		{name: "nothing there", count: 1, err: "target 0 lies at 0 of 0 bytes"},
		{name: "cut", data: two[:80], count: 2, err: "target 1 lies at 48 of 80 bytes"},
		{name: "no end", data: one[:40], count: 1, err: "has no end"},
		{name: "a loop", data: spec(0, "zero", ""), count: 2, err: "before its own end"},
		{name: "overlap", data: spec(39, "zero", ""), count: 2, err: "before its own end"},
		{name: "far away", data: spec(1<<32-1, "zero", ""), count: 2, err: "lies at 4294967295"},
		{name: "too many", data: one, count: 1<<32 - 1, err: "target 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			targets, err := device.ParseTargets(c.data, c.count)
			checkError(t, err, c.err)
			if err != nil {
				return
			}
			var got []string
			for _, target := range targets {
				got = append(got, target.Text())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("error %v, want %q", err, want)
	}
}

// entry is a struct dm_name_list with what newer kernels add after the name.
func entry(number uint64, next uint32, name string) []byte {
	b := make([]byte, 12, 64)
	binary.NativeEndian.PutUint64(b, number)
	binary.NativeEndian.PutUint32(b[8:], next)
	b = append(append(b, name...), 0)
	return append(b, make([]byte, 32-len(b)%32)...)
}

func TestParseNames(t *testing.T) {
	t.Parallel()
	first, second := entry(unix.Mkdev(253, 0), 32, "one"), entry(unix.Mkdev(253, 300), 0, "two")
	for _, c := range []struct {
		name string
		data []byte
		want []device.Listed
		err  string
	}{
		{name: "none", data: entry(0, 0, "")},
		{name: "two", data: append(first, second...), want: []device.Listed{
			{Name: "one", Number: device.Number{Major: 253}}, {Name: "two", Number: device.Number{Major: 253, Minor: 300}},
		}},
		{name: "nothing there", err: "at 0 of 0 bytes"},
		{name: "cut", data: first, err: "at 32 of 32 bytes"},
		{name: "no end", data: bytes.Repeat([]byte{'x'}, 64), err: "has no end"},
		{name: "long name", data: entry(1, 0, strings.Repeat("x", 128)), err: "has no end"},
		{name: "a loop", data: entry(1, 8, "x"), err: "has 8 bytes"},
		{name: "far away", data: entry(1, 1<<32-1, "x"), err: "at 4294967295"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := device.ParseNames(c.data)
			checkError(t, err, c.err)
			if diff := cmp.Diff(c.want, got); err == nil && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseAnswer(f *testing.F) {
	targets := spec(48, "verity", "V")
	b := device.EncodeRequest("a name", "CRYPT-VERITY-x", targets, 0)
	f.Add(b, uint32(1))
	f.Add(device.EncodeRequest("", "", append(entry(1, 32, "one"), entry(2, 0, "two")...), 16<<10), uint32(0))
	f.Add(device.EncodeRequest("", "", append(spec(48, "linear", "7:1 0"), spec(96, "error", "")...), 0), uint32(2))
	f.Fuzz(func(t *testing.T, b []byte, count uint32) {
		name, uuid, _, data, err := device.ParseAnswer(b)
		if err != nil {
			return
		}
		if len(name) > 128 || len(uuid) > 129 || len(data) > len(b) {
			t.Fatalf("name of %d bytes, UUID of %d, %d bytes of data", len(name), len(uuid), len(data))
		}
		if targets, err := device.ParseTargets(data, count); err == nil && uint32(len(targets)) != count {
			t.Fatalf("%d targets, not %d", len(targets), count)
		}
		names, err := device.ParseNames(data)
		if err == nil && len(names)*12 > len(data) {
			t.Fatalf("%d names in %d bytes", len(names), len(data))
		}
	})
}

// good is a table for a device of 300 blocks.
func good() device.VerityTable {
	return device.VerityTable{
		Data:       &device.Loop{Number: device.Number{Major: 7, Minor: 1}, Size: 400 * verity.BlockSize},
		Hash:       &device.Loop{Number: device.Number{Major: 7, Minor: 2}, Size: 5 * verity.BlockSize},
		Superblock: verity.Superblock{DataBlocks: 300, Salt: []byte{0xab, 0xcd}},
		RootHash:   [32]byte{0x12, 31: 0x34},
	}
}

const goodLine = "1 7:1 7:2 4096 4096 300 1 sha256 1200000000000000000000000000000000000000000000000000000000000034 abcd"

func TestLine(t *testing.T) {
	t.Parallel()
	table := good()
	for _, c := range []struct{ key, want string }{
		{"", goodLine}, {"inlay:x", goodLine + " 2 root_hash_sig_key_desc inlay:x"},
	} {
		if got := table.Line(c.key); got != c.want {
			t.Errorf("the line is %q, want %q", got, c.want)
		}
	}
	table.Superblock.Salt = nil
	if got := table.Line(""); !strings.HasSuffix(got, "34 -") {
		t.Errorf("without salt the line is %q", got)
	}
}

func TestTableCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*device.VerityTable)
		want   string
	}{
		{"good", func(*device.VerityTable) {}, ""},
		{"signed", func(v *device.VerityTable) { v.Signature, v.RequireKernel = []byte("x"), true }, ""},
		{"no data", func(v *device.VerityTable) { v.Superblock.DataBlocks = 0 }, "covers no data"},
		{"small data", func(v *device.VerityTable) { v.Data.Size = 300*4096 - 1 }, "too few for 300 blocks"},
		{"huge superblock", func(v *device.VerityTable) { v.Superblock.DataBlocks = 1 << 60 }, "too few"},
		{"small tree", func(v *device.VerityTable) { v.Hash.Size-- }, "too few for a tree"},
		{"long signature", func(v *device.VerityTable) { v.Signature = make([]byte, 32768) }, "the kernel takes 32767"},
		{"nothing to check", func(v *device.VerityTable) { v.RequireKernel = true }, "no signature for the kernel"},
	} {
		table := good()
		c.change(&table)
		t.Run(c.name, func(t *testing.T) { checkError(t, table.Check(), c.want) })
	}
}

// TestSharing says which devices may be shared: those that give out the same
// data, checked, and nothing else.
func TestSharing(t *testing.T) {
	t.Parallel()
	const length = 300 * 8
	other := strings.NewReplacer
	for _, c := range []struct {
		name     string
		line     string
		length   uint64
		info     string
		writable bool
		want     string
	}{
		{name: "the same", line: goodLine},
		{name: "other devices", line: other("7:1 7:2", "8:17 252:0").Replace(goodLine)},
		{name: "another place of the tree", line: other("300 1 sha", "300 301 sha").Replace(goodLine)},
		{name: "signed", line: goodLine + " 2 root_hash_sig_key_desc cryptsetup:x"},
		{name: "strict", line: goodLine + " 3 panic_on_corruption root_hash_sig_key_desc x"},
		{name: "corrupted", line: goodLine, info: "C", want: "corrupt block"},
		{name: "corrected", line: goodLine, info: "V -"},
		{name: "unknown status", line: goodLine, info: "X", want: `status is "X"`},
		{name: "writable", line: goodLine, writable: true, want: "written to"},
		{name: "another length", line: goodLine, length: length - 8, want: "another table"},
		{name: "another root hash", line: other("34 abcd", "35 abcd").Replace(goodLine), want: "another table"},
		{name: "another salt", line: other("34 abcd", "34 abce").Replace(goodLine), want: "another table"},
		{name: "another algorithm", line: other("sha256", "sha1").Replace(goodLine), want: "another table"},
		{name: "fewer blocks", line: other(" 300 ", " 299 ").Replace(goodLine), want: "another table"},
		{name: "another format", line: "0" + goodLine[1:], want: "another table"},
		{name: "block size", line: other("4096 4096", "512 4096").Replace(goodLine), want: "another table"},
		{name: "corruption ignored", line: goodLine + " 1 ignore_corruption", want: `option "ignore_corruption"`},
		{name: "corruption ignored, signed", line: goodLine + " 3 root_hash_sig_key_desc x ignore_corruption", want: `option "ignore_corruption"`},
		{name: "checked once", line: goodLine + " 1 check_at_most_once", want: `option "check_at_most_once"`},
		{name: "unknown option", line: goodLine + " 1 brand_new", want: `option "brand_new"`},
		{name: "count of options", line: goodLine + " 2 panic_on_corruption", want: "another number of options"},
		{name: "no key", line: goodLine + " 1 root_hash_sig_key_desc", want: "without a key"},
		{name: "short", line: "1 7:1 7:2 4096 4096 300 1 sha256 12", want: "too few fields"},
		{name: "root hash", line: other("34 abcd", " abcd").Replace(goodLine), want: "root hash is"},
		{name: "no number", line: other("7:1", "/dev/loop1").Replace(goodLine), want: "no device number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.info == "" {
				c.info = "V"
			}
			if c.length == 0 {
				c.length = length
			}
			s, err := device.Verify(good(), !c.writable, device.NewTarget(c.length, "verity", c.line), c.info)
			checkError(t, err, c.want)
			if s != nil && s.KernelVerified != strings.Contains(c.line, "root_hash_sig") {
				t.Errorf("verified by the kernel: %t", s.KernelVerified)
			}
		})
	}
	t.Run("required", func(t *testing.T) {
		t.Parallel()
		table := good()
		table.RequireKernel = true
		_, err := device.Verify(table, true, device.NewTarget(length, "verity", goodLine), "V")
		checkError(t, err, "has not checked its signature")
	})
}

func FuzzParseActive(f *testing.F) {
	f.Add(goodLine)
	f.Add(goodLine + " 3 panic_on_corruption root_hash_sig_key_desc x")
	f.Add(goodLine + " 1 root_hash_sig_key_desc")
	f.Fuzz(func(t *testing.T, line string) {
		table, err := device.ParseActive(line)
		if err != nil {
			return
		}
		if table.Lax() == "" && strings.Contains(line, " ignore_corruption") && !strings.Contains(line, "desc ignore_corruption") {
			t.Fatal("what ignores corruption passes for strict")
		}
		_, err = device.Verify(good(), true, device.NewTarget(2400, "verity", line), "V")
		if err == nil && !strings.Contains(line, "1200000000000000000000000000000000000000000000000000000000000034") {
			t.Fatal("another root hash passes for ours")
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	if got := device.VerityName(good().RootHash); got != "1200000000000000000000000000000000000000000000000000000000000034-verity" {
		t.Errorf("the name is %q", got)
	}
	for name, want := range map[string]string{
		"a-Z0.9:#+=@_": "", "": "0 bytes", strings.Repeat("x", 127): "", strings.Repeat("x", 128): "128 bytes",
		"a/b": `a '/'`, "a b": `a ' '`, "é": "the name has a", "a\x00": "the name has a", ".": "means something else",
		"..": "means something else", "control": "means something else",
	} {
		checkError(t, device.CheckName(name), want)
	}
}

// TestParseAnswer holds that what has no data shows none: neither the head nor
// what was there before.
func TestParseAnswer(t *testing.T) {
	t.Parallel()
	ne := binary.NativeEndian
	for _, c := range []struct {
		name       string
		start, end uint32
		want       string
	}{
		{"data", 312, 316, "data"},
		{"to the end", 312, 1 << 31, "data"},
		{"none", 312, 305, ""},
		{"in the head", 48, 316, ""},
		{"nowhere", 1 << 31, 1 << 31, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := device.EncodeRequest("name", "uuid", []byte("data"), 0)
			ne.PutUint32(b[12:], c.end)
			ne.PutUint32(b[16:], c.start)
			name, uuid, _, data, err := device.ParseAnswer(b)
			if err != nil || name != "name" || uuid != "uuid" || string(data) != c.want {
				t.Errorf("name %q, UUID %q, data %q, %v", name, uuid, data, err)
			}
		})
	}
	if _, _, _, _, err := device.ParseAnswer(make([]byte, 311)); err == nil {
		t.Error("a short answer is taken")
	}
}
