package gpt_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"inlay/internal/gpt"
)

// le64 returns a change that sets the 64-bit field at off.
func le64(off int, v uint64) func([]byte) {
	return func(b []byte) { binary.LittleEndian.PutUint64(b[off:], v) }
}

func le32(off int, v uint32) func([]byte) {
	return func(b []byte) { binary.LittleEndian.PutUint32(b[off:], v) }
}

func TestParseHostile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(editor)
		want   string
	}{
		"both checksums":       {func(e editor) { e.both(le64(40, 35)); e.header(false)[40]++; e.header(true)[40]++ }, "checksum of the header"},
		"both entry checksums": {func(e editor) { e.entries(false)[60]++; e.entries(true)[60]++ }, "checksum of the entries"},
		"revision":             {func(e editor) { e.both(le32(8, 0x20000)) }, "revision 0x00020000"},
		"huge header":          {func(e editor) { e.both(le32(12, math.MaxUint32)) }, "header of 4294967295 bytes"},
		"small header":         {func(e editor) { e.both(le32(12, 16)) }, "header of 16 bytes"},
		"reserved":             {func(e editor) { e.both(le32(20, 1)) }, "reserved part"},
		"behind the header":    {func(e editor) { e.both(func(h []byte) { h[511] = 1 }) }, "reserved part"},
		"huge count":           {func(e editor) { e.both(le32(80, math.MaxUint32)) }, "4294967295 entries"},
		"count over the limit": {func(e editor) { e.both(le32(80, 1025)) }, "1025 entries"},
		"no entries":           {func(e editor) { e.both(le32(80, 0)) }, "0 entries"},
		"small entries":        {func(e editor) { e.both(le32(84, 64)) }, "entries of 64 bytes"},
		"huge entries":         {func(e editor) { e.both(le32(84, 1<<31)) }, "entries of 2147483648 bytes"},
		"entries in the MBR":   {func(e editor) { e.both(le64(72, 0)) }, "checksum of the entries"},
		"entries far out":      {func(e editor) { e.both(le64(72, math.MaxUint64)) }, "entries at sector 18446744073709551615"},
		"entries at the end":   {func(e editor) { e.both(le64(72, 2040)) }, "entries at sector 2040"},
		"misplaced header":     {func(e editor) { e.both(le64(24, 5)) }, "header of sector 5"},
		"usable beyond":        {func(e editor) { e.both(le64(48, 1<<40)) }, "usable sectors 34 to 1099511627776"},
		"usable backwards":     {func(e editor) { e.both(le64(40, 2015)) }, "usable sectors 2015 to 2014"},
		"usable from 0":        {func(e editor) { e.both(le64(40, 0)) }, "usable sectors 0 to 2014"},
		"overlap":              {func(e editor) { e.entry(1, le64(40, 160)) }, "partitions 1 and 2 overlap at sector 160"},
		"contained":            {func(e editor) { e.entry(7, func(b []byte) { le64(32, 90)(b); le64(40, 91)(b) }) }, "partitions 1 and 7 overlap at sector 90"},
		"out of bounds":        {func(e editor) { e.entry(2, le64(40, 2015)) }, "leaves the usable sectors"},
		"wrap around":          {func(e editor) { e.entry(2, le64(40, math.MaxUint64)) }, "leaves the usable sectors"},
		"before the start":     {func(e editor) { e.entry(1, le64(32, 2)) }, "leaves the usable sectors"},
		"backwards":            {func(e editor) { e.entry(1, le64(40, 79)) }, "before it begins"},
		"same GUID":            {func(e editor) { e.entry(2, func(b []byte) { clear(b[16:32]); b[19] = 11 }) }, "same GUID 0b000000"},
		"no GUID":              {func(e editor) { e.entry(2, func(b []byte) { clear(b[16:32]) }) }, "partition 2 has no GUID"},
		"two sector sizes":     {func(e editor) { copy(e.m[2048:], "EFI PART") }, "sectors of 512 and of 2048 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newDisk(t, 512)
			test.change(editor{m, 512})
			_, err := gpt.Parse(m, m.size())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestParseDamage(t *testing.T) {
	t.Parallel()
	last := len(newDisk(t, 512)) - 512
	for name, test := range map[string]struct {
		change     func(editor)
		part, want string
	}{
		"primary header":    {func(e editor) { e.m[600]++ }, "primary table", "checksum of the header"},
		"primary gone":      {func(e editor) { clear(e.m[512 : 34*512]) }, "primary table", "no header"},
		"primary entries":   {func(e editor) { e.m[1030]++ }, "primary table", "checksum of the entries"},
		"backup far away":   {func(e editor) { le64(32, 1<<50)(e.header(false)); e.seal() }, "primary table", "cut short"},
		"backup inside":     {func(e editor) { le64(32, 100)(e.header(false)); e.seal() }, "primary table", "among the usable sectors"},
		"first in entries":  {func(e editor) { le64(40, 30)(e.header(false)); e.seal() }, "primary table", "usable sectors 30 to"},
		"late entries":      {lateEntries, "primary table", "not between"},
		"backup header":     {func(e editor) { e.m[last+80]++ }, "backup table", "checksum of the header"},
		"backup gone":       {func(e editor) { clear(e.m[last:]) }, "backup table", "no header"},
		"backup entries":    {func(e editor) { e.m[last-100]++ }, "backup table", "checksum of the entries"},
		"primary elsewhere": {func(e editor) { le64(32, 2)(e.header(true)); e.seal() }, "backup table", "primary header at sector 2"},
		"entries elsewhere": {func(e editor) { le64(72, 2)(e.header(true)); e.seal() }, "backup table", "not between"},
		"other disk GUID":   {func(e editor) { e.header(true)[56]++; e.seal() }, "backup table", "other things"},
		"other partition":   {func(e editor) { e.entries(true)[48]++; e.seal() }, "backup table", "other things"},
		"other label":       {func(e editor) { e.entries(true)[56]++; e.seal() }, "backup table", "other things"},
		"no MBR":            {func(e editor) { clear(e.m[:512]) }, "protective MBR", "no signature"},
		"MBR of another":    {func(e editor) { e.m[446+4] = 0x83 }, "protective MBR", "does not protect"},
		"MBR from 2":        {func(e editor) { e.m[446+8] = 2 }, "protective MBR", "does not protect"},
		"hybrid MBR":        {func(e editor) { e.m[446+16+4] = 0x83 }, "protective MBR", "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := gpt.Parse(newDisk(t, 512), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			m := newDisk(t, 512)
			test.change(editor{m, 512})
			got, err := gpt.Parse(m, m.size())
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Damage) != 1 || got.Damage[0].Part != test.part || !strings.Contains(got.Damage[0].String(), test.want) {
				t.Errorf("damage %v, want %s: %s", got.Damage, test.part, test.want)
			}
			got.Damage = nil
			if diff := cmp.Diff(want, got, noGaps()); diff != "" {
				t.Errorf("the sound copy does not count: %s", diff)
			}
		})
	}
}

// lateEntries moves the entries of the primary table into the first partition.
func lateEntries(e editor) {
	h := e.header(false)
	copy(e.m[80*512:], e.entries(false))
	le64(72, 80)(h)
	clear(h[16:20])
	le32(16, crc32.ChecksumIEEE(h[:92]))(h)
}

func TestParseNoTable(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]memory{
		"empty": {}, "one sector": make(memory, 512), "small": make(memory, 1535), "zeros": make(memory, 1<<20),
	} {
		if _, err := gpt.Parse(m, m.size()); !errors.Is(err, gpt.ErrNoTable) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestParseTruncated(t *testing.T) {
	t.Parallel()
	whole := newDisk(t, 512)
	for n := 0; n < len(whole); n += 512 {
		m := whole[:n]
		if _, err := gpt.Parse(m, m.size()); err == nil {
			t.Fatalf("%d bytes are taken for the whole image", n)
		} else if n >= 34*512 && !strings.Contains(err.Error(), "cut short") {
			t.Fatalf("%d bytes: the error does not say what is wrong: %v", n, err)
		}
	}
}

// FuzzParse edits a sound disk of 64 KiB: bytes drawn at random would never get
// past the checksums. The first byte of the input chooses the sector size and
// whether the checksums are put right; four bytes are one edit: the part of the
// disk, an offset of two bytes in it, and the new value.
func FuzzParse(f *testing.F) {
	for sector := range byte(8) {
		f.Add([]byte{sector})
		f.Add([]byte{sector, 4, 40, 0, 200, 5, 40, 0, 9})  // partition 1 grows in both copies
		f.Add([]byte{sector, 2, 72, 0, 3, 2, 80, 1, 7})    // entries elsewhere, more of them
		f.Add([]byte{sector, 0, 0, 0, 0, 3, 88, 0, 1})     // no primary table, a bad backup
		f.Add([]byte{sector, 0, 0, 2, 0, 3, 40, 0, 0})     // a backup whose usable sectors begin at 0
		f.Add([]byte{sector, 6, 0xbe, 1, 1, 5, 56, 0, 65}) // a label in the backup
	}
	f.Fuzz(func(t *testing.T, edits []byte) {
		if len(edits) == 0 {
			return
		}
		e := editor{make(memory, 64<<10), 512 << (edits[0] & 3)}
		base := &gpt.Table{
			DiskGUID: gpt.GUID{1}, SectorSize: e.sector, Size: e.m.size(),
			Partitions: []gpt.Partition{
				{Type: gpt.GUID{1}, GUID: gpt.GUID{11}, First: 49152/uint64(e.sector) - 8, Last: 49152/uint64(e.sector) - 7},
				{Type: gpt.GUID{2}, GUID: gpt.GUID{12}, First: 49152/uint64(e.sector) - 4, Last: 49152/uint64(e.sector) - 2, Label: "x"},
			},
		}
		if e.sector == 4096 {
			base.Partitions[0].First, base.Partitions[0].Last = 6, 7
		}
		if err := base.Write(e.m); err != nil {
			t.Fatal(err)
		}
		for edit := range slices.Chunk(edits[1:], 4) {
			if len(edit) < 4 {
				break
			}
			part := [][]byte{
				e.m, e.header(false), e.header(false), e.header(true), e.entries(false), e.entries(true), e.m[:512],
			}[edit[0]%7]
			part[(int(edit[1])|int(edit[2])<<8)%len(part)] = edit[3]
		}
		if edits[0]&4 != 0 {
			e.seal()
		}
		checkParse(t, e.m)
	})
}

// checkParse checks what is true of every table that Parse takes.
func checkParse(t *testing.T, m memory) {
	got, err := gpt.Parse(m, m.size())
	if err != nil {
		return
	}
	if got.Size > m.size() {
		t.Fatalf("a table of %d bytes in a file of %d", got.Size, m.size())
	}
	for _, p := range got.Partitions {
		if got.Offset(p) < 0 || got.Length(p) <= 0 || got.Offset(p)+got.Length(p) > got.Size {
			t.Fatalf("partition %+v is not in the image", p)
		}
	}
	got.Damage = nil
	again := make(memory, got.Size)
	if err := got.Write(again); err != nil {
		return // more entries, or a table at another place, than Encode makes
	}
	back, err := gpt.Parse(again, again.size())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, back, noGaps()); diff != "" {
		t.Fatal(diff)
	}
}

// noGaps leaves out of a comparison what only Parse knows.
func noGaps() cmp.Option { return cmpopts.IgnoreFields(gpt.Table{}, "Gaps") }

// TestGaps: what lies free before the first partition is known by the byte.
func TestGaps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first uint64
		want  []gpt.Gap
	}{
		"at once":     {34, []gpt.Gap{{Offset: 0, Size: 446}}},
		"from 1 MiB":  {2048, []gpt.Gap{{Offset: 0, Size: 446}, {Offset: 34 * 512, Size: (2048 - 34) * 512}}},
		"not in line": {40, []gpt.Gap{{Offset: 0, Size: 446}, {Offset: 34 * 512, Size: 6 * 512}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := &gpt.Table{
				SectorSize: 512, Size: 4 << 20,
				Partitions: []gpt.Partition{{Type: gpt.GUID{1}, GUID: gpt.GUID{2}, First: c.first, Last: c.first + 7}},
			}
			disk := make(memory, table.Size)
			if err := table.Write(disk); err != nil {
				t.Fatal(err)
			}
			got, err := gpt.Parse(disk, disk.size())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.Gaps); diff != "" {
				t.Error(diff)
			}
		})
	}
}
