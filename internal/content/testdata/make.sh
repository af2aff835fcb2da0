#!/bin/sh -eu
# Makes one tree and an image of it in each file system. Run as root in this
# folder; README.md says with which tools the images here were made.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir -p "$tree/etc" "$tree/usr/bin" "$tree/usr/lib/extension-release.d" "$tree/usr/lib/empty"
cd "$tree"
printf 'ID=_any\n' >usr/lib/extension-release.d/extension-release.tree
setfattr -n user.extension-release.strict -v false usr/lib/extension-release.d/extension-release.tree
printf 'root:x:0:0::/root:/bin/sh\n' >etc/passwd
chown 7:70000 etc/passwd
chmod 640 etc/passwd
printf 'hello\n' >usr/bin/tool
chmod 4755 usr/bin/tool
ln usr/bin/tool usr/bin/same
setfattr -n user.origin -v here usr/bin/tool
setfattr -n security.selinux -v system_u:object_r:bin_t:s0 usr/bin/tool
: >usr/bin/nothing
i=0
while [ $i -lt 1000 ]; do printf 'line %04d\n' $i; i=$((i + 1)); done >usr/lib/lines
setfattr -n user.origin -v here usr/lib/lines
truncate -s 20000 usr/lib/sparse
printf 'end' >>usr/lib/sparse
printf 'x' >"usr/lib/with space#and
newline"
printf 'y' >"usr/lib/é"
ln -s ../bin/tool usr/lib/relative
ln -s /usr/bin/tool usr/lib/absolute
ln -s ../../../../../etc/passwd usr/lib/above
ln -s nowhere usr/lib/dangling
ln -s circle usr/lib/circle
ln -s usr/lib lib
mknod usr/lib/null c 1 3
mknod usr/lib/disk b 259 70000
mkfifo usr/lib/pipe
chmod 1777 usr/lib/empty
find . -exec touch -h -d '2023-11-14 22:13:20 UTC' {} +
cd - >/dev/null

mkfs.erofs -U 01234567-89ab-cdef-0123-456789abcdef -T 1700000000 --ignore-mtime "$work/erofs" "$tree" >/dev/null
mkfs.erofs -zlz4hc "$work/erofs-lz4" "$tree" >/dev/null
mksquashfs "$tree" "$work/squashfs" -quiet -no-progress -nopad -mkfs-time 1700000000
truncate -s 128K "$work/ext4"
mke2fs -q -t ext4 -b 1024 -N 48 -O '^has_journal,^resize_inode' -m 0 -E root_owner=0:0 -d "$tree" "$work/ext4"
for image in erofs erofs-lz4 squashfs ext4; do gzip -9n <"$work/$image" >"$image.gz"; done
