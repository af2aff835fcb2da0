package gpt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/gpt"
	"inlay/internal/guid"
)

func TestWriteParse(t *testing.T) {
	t.Parallel()
	for sector := gpt.MinSectorSize; sector <= gpt.MaxSectorSize; sector *= 2 {
		t.Run(fmt.Sprint(sector), func(t *testing.T) {
			t.Parallel()
			got, err := gpt.Parse(newDisk(t, sector), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			want := table(sector)
			want.FirstUsable = uint64(2 + 128*128/sector)
			want.Partitions[0].Number, want.Partitions[1].Number = 1, 2
			if diff := cmp.Diff(want, got, noGaps()); diff != "" {
				t.Error(diff)
			}
			if off, n := got.Offset(got.Partitions[0]), got.Length(got.Partitions[0]); off != 40960 || n != 40960 {
				t.Errorf("first partition is at %d with %d bytes", off, n)
			}
		})
	}
}

func TestParseIgnoresTheRestOfTheFile(t *testing.T) {
	t.Parallel()
	m := append(newDisk(t, 512), make(memory, 5000)...)
	got, err := gpt.Parse(m, m.size())
	if err != nil {
		t.Fatal(err)
	}
	if got.Size != 1<<20 || len(got.Damage) > 0 {
		t.Errorf("size %d, damage %v", got.Size, got.Damage)
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*gpt.Table)
		want   string
	}{
		"sector size":     {func(t *gpt.Table) { t.SectorSize = 520 }, "sector size 520"},
		"small sector":    {func(t *gpt.Table) { t.SectorSize = 256 }, "sector size 256"},
		"large sector":    {func(t *gpt.Table) { t.SectorSize = 8192 }, "sector size 8192"},
		"odd size":        {func(t *gpt.Table) { t.Size++ }, "1048577 bytes"},
		"no room":         {func(t *gpt.Table) { t.Size = 67 * 512 }, "34304 bytes"},
		"negative":        {func(t *gpt.Table) { t.Size = -512 }, "-512 bytes"},
		"first usable":    {func(t *gpt.Table) { t.FirstUsable = 33 }, "first usable sector 33"},
		"first too late":  {func(t *gpt.Table) { t.FirstUsable = 1 << 20 }, "first usable sector 1048576"},
		"in the table":    {func(t *gpt.Table) { t.Partitions[0].First = 33 }, "leaves the usable sectors 34 to 2014"},
		"in the backup":   {func(t *gpt.Table) { t.Partitions[2].Last = 2015 }, "leaves the usable sectors 34 to 2014"},
		"backwards":       {func(t *gpt.Table) { t.Partitions[0].Last = 79 }, "before it begins"},
		"overlap":         {func(t *gpt.Table) { t.Partitions[0].Last++ }, "partitions 1 and 2 overlap at sector 160"},
		"same GUID":       {func(t *gpt.Table) { t.Partitions[2].GUID = t.Partitions[0].GUID }, "partitions 1 and 7 have the same GUID"},
		"no GUID":         {func(t *gpt.Table) { t.Partitions[1].GUID = gpt.GUID{} }, "partition 2 has no GUID"},
		"no type":         {func(t *gpt.Table) { t.Partitions[1].Type = gpt.GUID{} }, "partition 2 has no type"},
		"number twice":    {func(t *gpt.Table) { t.Partitions[1].Number = 1 }, "partition number 1 after 1"},
		"number too high": {func(t *gpt.Table) { t.Partitions[2].Number = 129 }, "partition number 129"},
		"long label":      {func(t *gpt.Table) { t.Partitions[0].Label = strings.Repeat("x", 35) + "🚪" }, "longer than 36"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tab := table(512)
			test.change(tab)
			_, _, err := tab.Encode()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestGUID(t *testing.T) {
	t.Parallel()
	const text = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
	g, err := guid.Parse(strings.ToUpper(text))
	if err != nil || g.String() != text || g[0] != 0x4f || g[15] != 0x09 {
		t.Errorf("got %s, %v", g, err)
	}
	for _, bad := range []string{"", text[1:], text + "0", "4f68bce3e8cd-4db1-96e7-fbcaf984b709-", "4f68bce3-e8cd-4db1-96e7-fbcaf984b70g", strings.ReplaceAll(text, "-", "0")} {
		if _, err := guid.Parse(bad); err == nil {
			t.Errorf("%q is taken for a GUID", bad)
		}
	}
	// Tables keep the first three fields in little-endian order.
	tab := table(512)
	tab.DiskGUID = g
	primary, _, err := tab.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := []byte{0xe3, 0xbc, 0x68, 0x4f, 0xcd, 0xe8, 0xb1, 0x4d, 0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09}
	if diff := cmp.Diff(want, primary[512+56:512+72]); diff != "" {
		t.Error(diff)
	}
}
