package bootstate_test

import (
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf16"

	"inlay/internal/bootstate"
	"inlay/internal/efi"
)

const (
	efivars = "sys/firmware/efi/efivars/"
	uki     = "console=tty1 rd.immucore.uki selinux=0\n"
)

// files are the files of a root by their paths.
type files map[string]string

// and returns f and what is in others, which win.
func (f files) and(others ...files) files {
	all := maps.Clone(f)
	for _, o := range others {
		maps.Copy(all, o)
	}
	return all
}

func cmdline(text string) files { return files{"proc/cmdline": text} }

// run are files that the boot has left.
func run(names ...string) files {
	f := files{}
	for _, name := range names {
		f["run/cos/"+name] = "1"
	}
	return f
}

// variable is one as efivarfs shows it.
func variable(file string, data []byte) files {
	return files{efivars + file: string(efi.Variable{Attributes: 6, Data: data}.Marshal())}
}

// loader is a string of the boot loader.
func loader(name, text string) files {
	var b []byte
	for _, unit := range append(utf16.Encode([]rune(text)), 0) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return variable(efi.FileName(name, efi.Loader()), b)
}

func flag(name string, value ...byte) files {
	return variable(efi.FileName(name, efi.GlobalVariable()), value)
}

// secured is what firmware says under Secure Boot, opened what it says without.
func secured() files { return flag("SecureBoot", 1).and(flag("SetupMode", 0)) }

func opened() files { return flag("SecureBoot", 0).and(flag("SetupMode", 0)) }

// entry is what a boot loader says that started an entry from a disk.
func entry(name string) files {
	return loader("LoaderDevicePartUUID", "6cbed9c5-b1b6-4b5a-9b57-2c9e0d3f9f2a").and(loader("LoaderEntrySelected", name))
}

// root makes a root of files; a name that ends in a slash is a folder.
func root(t testing.TB, f files) *os.Root {
	t.Helper()
	folder := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(f)) {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if name[len(name)-1] == '/' {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(f[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func detect(t testing.TB, f files) *bootstate.Report {
	t.Helper()
	r, err := bootstate.Detect(root(t, f))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
