package sample

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Section is one of a program of [Program].
type Section struct{ Name, Content string }

// Program makes an EFI program without any code for an architecture in systemd's
// words (x86-64, arm64 or riscv64), with room for some 40 sections.
func Program(architecture string, sections ...Section) []byte {
	const headers, unit, page = 2048, 512, 4096
	machine := map[string]uint16{"x86-64": 0x8664, "arm64": 0xaa64, "riscv64": 0x5064}[architecture]
	le := binary.LittleEndian
	b := make([]byte, headers)
	copy(b, "MZ")
	le.PutUint32(b[60:], 64)
	copy(b[64:], "PE\x00\x00")
	le.PutUint16(b[68:], machine)
	le.PutUint16(b[70:], uint16(len(sections)))
	le.PutUint16(b[84:], 240) // of the optional header
	optional := b[88:]
	le.PutUint16(optional, 0x20b)
	le.PutUint32(optional[32:], page)
	le.PutUint32(optional[36:], unit)
	le.PutUint32(optional[60:], headers)
	le.PutUint16(optional[68:], 10) // for firmware
	le.PutUint32(optional[108:], 16)
	address := uint32(page)
	for i, s := range sections {
		raw := make([]byte, (len(s.Content)+unit-1)/unit*unit)
		copy(raw, s.Content)
		header := b[88+240+40*i:]
		copy(header[:8], s.Name)
		le.PutUint32(header[8:], uint32(len(s.Content)))
		le.PutUint32(header[12:], address)
		le.PutUint32(header[16:], uint32(len(raw)))
		le.PutUint32(header[20:], uint32(len(b)))
		le.PutUint32(header[36:], 0x40000040) // data, readable
		address += uint32(max(len(s.Content), 1)+page-1) / page * page
		b = slices.Concat(b, raw)
	}
	le.PutUint32(b[88+56:], address)
	return b
}

// Kernel is one with a release where those of x86 have theirs.
func Kernel(architecture, release string) []byte {
	b := Program(architecture, Section{".text", release + " (builder@host) #1 SMP\x00 and more"})
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(b[0x20e:], 2048-0x200)
	return b
}

// Stub passes for systemd-stub 257.
func Stub(architecture string) []byte { return systemd(architecture, "systemd-stub") }

// BootLoader passes for systemd-boot 257.
func BootLoader(architecture string) []byte { return systemd(architecture, "systemd-boot") }

func systemd(architecture, name string) []byte {
	return Program(
		architecture, Section{".text", "code"},
		Section{".sbat", "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n" +
			name + ",1,The systemd Developers,systemd,257\n" + strings.Repeat("\x00", 600)},
		Section{".sdmagic", "#### LoaderInfo: " + name + " 257.13-1 ####"},
	)
}
