#!/bin/sh
# Makes the vectors. Needs root, for attributes and devices.
set -eu
cd "$(dirname "$0")"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

mkdir -p "$tree/usr/lib/extension-release.d" "$tree/usr/empty"
printf 'ID=debian\nVERSION_ID=13\n' >"$tree/usr/lib/extension-release.d/extension-release.sample"
setfattr -n user.extension-release.strict -v 0 "$tree/usr/lib/extension-release.d/extension-release.sample"
ln -s lib/extension-release.d "$tree/usr/link"
ln -s nowhere "$tree/usr/attributed-link"
mknod "$tree/usr/char" c 5 1
mknod "$tree/usr/block" b 259 70000
mkfifo "$tree/usr/fifo"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$tree/usr/socket"
: >"$tree/usr/nothing"
# Blocks, the second of them a hole, and a tail in a fragment.
yes 'a line of text' | head -c 4096 >"$tree/usr/file"
truncate -s 8192 "$tree/usr/file"
yes 'another line of text' | head -c 5000 >>"$tree/usr/file"
ln "$tree/usr/file" "$tree/usr/same"
# Calls of one address on x86 and on PowerPC, which xz's filters make alike.
python3 -c '
import struct, sys
out = sys.stdout.buffer
for at in range(0, 4096, 8):
    out.write(b"\xe8" + struct.pack("<i", 0x1234 - at - 5) + b"\x90" * 3)
for at in range(0, 1900, 4):
    out.write(struct.pack(">I", 0x48000001 | 0x4000 - at))
' >"$tree/usr/code"
mkdir "$tree/usr/attributed"
long=$(printf '%0200d' 7)
for name in attributed attributed-link file char; do
  setfattr -h -n trusted.sample -v "$name" "$tree/usr/$name"
  setfattr -h -n security.sample -v "$long" "$tree/usr/$name"
done
find "$tree" -exec touch -h -d @1700000000 {} +
chmod 755 "$tree"
chown 1000:100 "$tree/usr/code"
chmod 4750 "$tree/usr/code"

image() {
  name=$1.squashfs
  shift
  rm -f "$name"
  mksquashfs "$tree" "$name" -noappend -no-progress -quiet -nopad -b 4K -always-use-fragments -mkfs-time 1700000000 -processors 1 "$@"
}
image gzip -comp gzip -Xcompression-level 6
image zstd -comp zstd -Xcompression-level 19
image lz4 -comp lz4 -Xhc
image xz -comp xz
image xz-x86 -comp xz -Xbcj x86
image xz-powerpc -comp xz -Xbcj powerpc
image lzo -comp lzo
image lzma -comp lzma
image plain -comp gzip -noI -noId -noD -noF -noX
