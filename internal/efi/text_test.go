package efi_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"inlay/internal/efi"
)

// text encodes a string as boot loaders do.
func text(s string) []byte {
	var b []byte
	for _, unit := range append(utf16.Encode([]rune(s)), 0) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}

func TestLoader(t *testing.T) {
	t.Parallel()
	if got, want := efi.FileName("StubInfo", efi.Loader()), "StubInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"", "active+3.conf", "büro", "日本", "a\U0001f427b", "\ufffd", strings.Repeat("x", 4096)} {
		got, err := efi.Variable{Data: text(want)}.Text()
		if err != nil || got != want {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
	}
}

func TestTextRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, data, want string }{
		{"nothing", "", "not even the NUL"},
		{"odd", "a\x00\x00", "3 bytes"},
		{"no NUL", "a\x00b\x00", "no NUL at its end"},
		{"two NULs", "a\x00\x00\x00\x00\x00", "control character 0x0000 at code unit 1"},
		{"NUL within", "a\x00\x00\x00b\x00\x00\x00", "at code unit 1"},
		{"line break", "a\x00\n\x00\x00\x00", "control character 0x000a at code unit 1"},
		{"escape", "\x1b\x00[\x002\x00J\x00\x00\x00", "0x001b"},
		{"high half", "a\x00\x3d\xd8\x00\x00", "surrogate pair at code unit 1"},
		{"low half", "\x27\xdc\x00\x00", "surrogate pair at code unit 0"},
		{"swapped halves", "\x27\xdc\x3d\xd8\x00\x00", "surrogate pair at code unit 0"},
		{"too long", string(text(strings.Repeat("x", 4097))), "more than 4096"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := efi.Variable{Data: []byte(test.data)}.Text()
			if err == nil || !strings.Contains(err.Error(), test.want) || got != "" {
				t.Errorf("got %q, %v; want an error with %q", got, err, test.want)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "active+3.conf", "a\U0001f427b"} {
		f.Add(text(s))
	}
	f.Add([]byte("\x3d\xd8\x27\xdc\x00\x00"))
	f.Add([]byte("\x3d\xd8\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := efi.Variable{Data: b}.Text()
		if err != nil {
			return
		}
		if again := text(got); string(again) != string(b) {
			t.Fatalf("%q is %x, not %x", got, again, b)
		}
	})
}
