#!/bin/sh
# Makes the images of this folder; as root, for devices and attributes. README.md says by which versions.
set -eu
export MKE2FS_CONFIG=/dev/null LC_ALL=C TZ=UTC
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
umask 022
mkdir "$work/tree"
cd "$work/tree"

echo 'what a file holds' >small
ln small hardlink
ln -s target fastlink
ln -s "$(printf '%0200d' 0)" slowlink
mkdir folder folder/inner
echo inner >folder/inner/file
mknod device c 1 3
mknod block b 300 70000
mkfifo fifo
for i in $(seq 0 2 400); do # 200 extents
  printf '%01024d' "$i" | dd of=comb bs=1024 seek="$i" conv=notrunc status=none
done
truncate -s 3M comb
dd if=small of=far bs=1024 seek=70000 status=none # behind two levels of pointers
cp small attributes
setfattr -n user.first -v one attributes
setfattr -n security.selinux -v system_u:object_r:usr_t:s0 attributes
setfattr -n user.large -v "$(printf '%0500d' 1)" attributes
setfattr -n system.posix_acl_access \
  -v 0x0200000001000600ffffffff02000400e803000004000400ffffffff10000600ffffffff20000000ffffffff attributes
mkdir indexed
for i in $(seq 1 60); do ln small "indexed/$(printf 'name-%0100d' "$i")"; done

# make NAME SIZE OPTION...
make() {
  name=$1 size=$2
  shift 2
  truncate -s "$size" "$work/$name"
  mke2fs -q -F -I 256 -N 32 -m 0 -U 11111111-2222-4333-8444-555555555555 -E hash_seed=66666666-7777-4888-9999-aaaaaaaaaaaa "$@" -d . "$work/$name"
  e2fsck -f -D -y "$work/$name" >/dev/null || [ $? -eq 1 ]
  e2fsck -f -n "$work/$name" >/dev/null
  gzip -9n <"$work/$name" >"$here/$name.gz"
}
base=filetype,sparse_super,ext_attr,dir_index,large_file
make ext2.img 512K -b 1024 -O "$base"
make ext4.img 512K -b 1024 -O "$base,extent,flex_bg,extra_isize,dir_nlink,huge_file"
make checked.img 512K -b 1024 -O "$base,extent,flex_bg,extra_isize,64bit,metadata_csum"
make inline.img 512K -b 1024 -O "$base,extent,extra_isize,inline_data"
