package efi_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/internal/guid"
)

// unknown is the type of lists that nobody knows.
var unknown = guid.GUID{0xab, 1: 0xcd, 15: 0xef}

// rawList writes a list whose sizes need not fit.
func rawList(kind guid.GUID, total, header, size uint32, rest ...byte) []byte {
	swapped := kind.Swapped()
	b := binary.LittleEndian.AppendUint32(swapped[:], total)
	b = binary.LittleEndian.AppendUint32(b, header)
	return append(binary.LittleEndian.AppendUint32(b, size), rest...)
}

func TestParseLists(t *testing.T) {
	t.Parallel()
	owner := guid.GUID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	onDisk := []byte{4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16}
	entry := func(data string) []byte { return append(bytes.Clone(onDisk), data...) }
	for name, test := range map[string]struct {
		b    []byte
		want []efi.List
	}{
		"nothing": {nil, nil},
		"several certificates of one size": {
			rawList(efi.X509(), 28+2*18, 0, 18, append(entry("ab"), entry("cd")...)...),
			[]efi.List{{Type: efi.X509(), Entries: []efi.Entry{{owner, []byte("ab")}, {owner, []byte("cd")}}}},
		},
		"unknown type with a header": {
			rawList(unknown, 28+3+17, 3, 17, append([]byte("hdr"), entry("a")...)...),
			[]efi.List{{Type: unknown, Header: []byte("hdr"), Entries: []efi.Entry{{owner, []byte("a")}}}},
		},
		"unknown type without data": {
			rawList(unknown, 28+16, 0, 16, entry("")...),
			[]efi.List{{Type: unknown, Entries: []efi.Entry{{owner, []byte{}}}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, parseLists(t, test.b)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLargestList has a list of MaxSize pass; one byte more is refused below.
func TestLargestList(t *testing.T) {
	t.Parallel()
	const size = efi.MaxSize - 28 - 16
	lists := parseLists(t, list(t, efi.X509(), make([]byte, size)).Marshal())
	if len(lists) != 1 || len(lists[0].Entries) != 1 || len(lists[0].Entries[0].Data) != size {
		t.Errorf("got %d lists", len(lists))
	}
}

func TestParseListsRefuses(t *testing.T) {
	t.Parallel()
	good := list(t, efi.X509(), []byte("certificate")).Marshal()
	sha256 := list(t, efi.SHA256(), make([]byte, 32)).Marshal()
	x := func(n int) []byte { return bytes.Repeat([]byte{'x'}, n) }
	for name, test := range map[string]struct {
		b    []byte
		want string
	}{
		"too large":               {x(efi.MaxSize + 1), "1048577 bytes are too many"},
		"one byte":                {x(1), "at byte 0: 1 bytes are left"},
		"header cut":              {good[:27], "at byte 0: 27 bytes are left"},
		"entries cut":             {good[:len(good)-1], "at byte 0: its size, 55 bytes, is more than the 54 that are left"},
		"bytes after":             {append(bytes.Clone(good), 0), "at byte 55: 1 bytes are left"},
		"second list bad":         {append(bytes.Clone(good), rawList(efi.X509(), 28, 0, 16)...), "at byte 55: entries without data"},
		"size zero":               {rawList(efi.X509(), 0, 0, 20), "its size, 0 bytes, is less than its header takes (28)"},
		"size below header":       {rawList(unknown, 30, 3, 20, x(30)...), "its size, 30 bytes, is less than its header takes (31)"},
		"header to the sky":       {rawList(unknown, 28+20, 1<<32-1, 20, x(20)...), "less than its header takes (4294967323)"},
		"sizes that wrap":         {rawList(unknown, 27, 1<<32-1, 20, x(20)...), "less than its header takes"},
		"size to the sky":         {rawList(unknown, 1<<32-1, 0, 20, x(20)...), "more than the 48 that are left"},
		"entry size zero":         {rawList(unknown, 28+20, 0, 0, x(20)...), "entries of 0 bytes have no room for their owner"},
		"entry size 15":           {rawList(unknown, 28+15, 0, 15, x(15)...), "entries of 15 bytes have no room for their owner"},
		"entry size to the sky":   {rawList(unknown, 28+20, 0, 1<<32-1, x(20)...), "20 bytes are not a whole number of entries of 4294967295"},
		"entry and a half":        {rawList(unknown, 28+30, 0, 20, x(30)...), "30 bytes are not a whole number of entries of 20"},
		"no entries":              {rawList(efi.SHA256(), 28, 0, 48), "at byte 0: it has no entries"},
		"header of certificates":  {rawList(efi.X509(), 28+4+20, 4, 20, x(24)...), "a header of 4 bytes in a list of type x509, which has none"},
		"certificate of no bytes": {rawList(efi.X509(), 28+16, 0, 16, x(16)...), "entries without data in a list of type x509"},
		"hash too short":          {rawList(efi.SHA256(), 28+47, 0, 47, x(47)...), "entries of 47 bytes in a list of type sha256, where they take 48"},
		"hash without a time":     {rawList(efi.X509SHA256(), 28+48, 0, 48, x(48)...), "type x509_sha256, where they take 64"},
		"PE file":                 {append([]byte("MZ"), x(100)...), "at byte 0"},
		"zeros":                   {make([]byte, 64), "at byte 0: its size, 0 bytes"},
		"zeros after":             {append(bytes.Clone(sha256), make([]byte, 28)...), "at byte 76: its size, 0 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lists, err := efi.ParseLists(test.b)
			if err == nil || lists != nil {
				t.Fatalf("got %v, %v", lists, err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want %q", err, test.want)
			}
		})
	}
}

// TestListSizes has each type that has a size refuse one byte less and one more.
func TestListSizes(t *testing.T) {
	t.Parallel()
	for text, size := range map[string]int{
		"826ca512-cf10-4ac9-b187-be01496631bd": 20,
		"0b6e5233-a65c-44c9-9407-d9ab83bfc8bd": 28,
		"c1c41626-504c-4092-aca9-41f936934328": 32,
		"ff3e5307-9fd0-48c9-85f1-8ad56c701e01": 48,
		"093e0fae-a6c4-4f50-9f1b-d41e2b89c19a": 64,
		"3c5766e8-269c-4e34-aa14-ed776e85b3b6": 256,
		"67f8444f-8743-48f1-a328-1eaab8736080": 256,
		"e2b36190-879b-4a3d-ad8d-f2e7bba32784": 256,
		"3bd2a492-96c0-4079-b420-fcf98ef103ed": 48,
		"7076876e-80c2-4ee6-aad2-28b349a6865b": 64,
		"446dbf63-2502-4cda-bcfa-2465d2b0fe9d": 80,
	} {
		kind := parseGUID(t, text)
		for delta := -1; delta <= 1; delta++ {
			t.Run(fmt.Sprintf("%s%+d", efi.TypeName(kind), delta), func(t *testing.T) {
				t.Parallel()
				_, err := efi.ParseLists(list(t, kind, make([]byte, size+delta)).Marshal())
				if (err == nil) != (delta == 0) {
					t.Errorf("%d bytes: %v", size+delta, err)
				}
			})
		}
	}
}

func TestMarshalSplits(t *testing.T) {
	t.Parallel()
	l := list(t, efi.X509(), []byte("aa"), []byte("bb"), []byte("c"), []byte("dd"))
	want := []efi.List{
		list(t, efi.X509(), []byte("aa"), []byte("bb")),
		list(t, efi.X509(), []byte("c")),
		list(t, efi.X509(), []byte("dd")),
	}
	if diff := cmp.Diff(want, parseLists(t, l.Marshal())); diff != "" {
		t.Error(diff)
	}
	if b := (efi.List{Type: efi.X509()}).Marshal(); len(b) != 0 {
		t.Errorf("a list without entries: %x", b)
	}
}
