#!/bin/sh
# Makes the vectors anew, with a key of internal/cms; README.md says with which tools.
set -eu
cd "$(dirname "$0")"
key=../../cms/testdata/rsa
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/tiny.s" <<'END'
.section .text
.globl start
start: ret
.section .sbat,"a"
.ascii "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
.section .sdmagic,"a"
.ascii "#### LoaderInfo: tiny 1 ####"
END
link() { # NAME WIDTH FORMAT EMULATION
	as "--$2" -o "$work/tiny.o" "$work/tiny.s"
	objcopy -O "$3" --remove-section .note.gnu.property "$work/tiny.o" "$work/tiny.pe"
	ld -m "$4" --subsystem 10 --no-insert-timestamp --strip-all --file-alignment 0x200 --section-alignment 0x1000 \
		-e start -o "$1" "$work/tiny.pe"
}
link tiny.efi 64 pe-x86-64 i386pep
link tiny32.efi 32 pe-i386 i386pe
# With bytes behind the last section, and of a size that is not a multiple of 8.
cp tiny.efi trailing.efi
printf 'thirteen more' >>trailing.efi

for program in tiny tiny32 trailing; do
	hash-to-efi-sig-list "$program.efi" "$work/list" | sed 's/.*HASH IS //' | tr -d '\n' >"$program.sha256"
done
for program in tiny trailing; do
	sbsign --key "$key.key" --cert "$key.pem" --output "$program-sbsign.efi" "$program.efi"
	sbsign --key "${key}4096.key" --cert "${key}4096.pem" --output "$program-twice.efi" "$program-sbsign.efi"
	osslsigncode sign -h sha256 -key "$key.key" -certs "$key.pem" -in "$program.efi" -out "$work/out"
	cp "$work/out" "$program-osslsigncode.efi"
	rm "$work/out"
	/usr/lib/systemd/systemd-sbsign sign --private-key="$key.key" --certificate="$key.pem" \
		--output="$program-systemd.efi" "$program.efi"
done
chmod 644 ./*.efi ./*.sha256
