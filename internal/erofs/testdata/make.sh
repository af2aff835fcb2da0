#!/bin/sh -eu
# Makes one tree and images of it. Run as root in this folder, with the mkfs.erofs
# of erofs-utils 1.5 and of 1.8.6; README.md says which image is of which.
old=${OLD:-mkfs.erofs}
new=${NEW:-mkfs.erofs}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir -p "$tree/folder/empty" "$tree/small"
cd "$tree"
i=0
while [ $i -lt 2000 ]; do
  echo "the line with number $i of all, which is even or odd by $((i * i % 7))"
  i=$((i + 1))
done >text
# Noise that is the same each time.
seq 200 | while read -r n; do printf "%s" "$n" | sha256sum; done | cut -c1-64 | xxd -r -p | head -c 5000 >noise
cat text noise text >mixed
{ printf 'moved'; cat mixed; } >moved
head -c 30000 text >start
head -c 500000 /dev/zero >zeros
{ head -c 20000 /dev/zero; printf 'end'; } >odd
for size in 0 1 100 4000 4095 4096 4097 5000 8192; do head -c $size text >"small/$size"; done
i=0
while [ $i -lt 60 ]; do ln -s "../small/$i" "folder/link number $i"; i=$((i + 1)); done
ln text folder/same
ln -s "$(head -c 2048 noise | xxd -p | tr -d '\n' | head -c 4095)" long
mknod null c 1 3
mknod disk b 259 70000
mkfifo pipe
chown 70000:7 small/100
chmod 4750 small/100
chmod 1777 folder/empty
for f in text noise mixed small/1 small/100 folder; do setfattr -n security.selinux -v system_u:object_r:usr_t:s0 $f; done
setfattr -n user.prefix.of.many.a -v 1 text
setfattr -n user.prefix.of.many.b -v 2 noise
setfattr -n trusted.large -v "$(head -c 1000 text | tr '\n' ' ')" noise
time='2023-11-14 22:13:20.5 UTC'
find . -exec touch -h -d "$time" {} +
cd - >/dev/null

# What every reader should say: mode, links, owner, device and time, then the
# path, the digest or target, and the attributes.
list() {
  find . | LC_ALL=C sort | while read -r path; do
    printf '%s %s' "$(stat -c '%f %h %u:%g %t:%T %.9Y' "$path")" "$path"
    if [ -L "$path" ]; then
      printf ' -> %s' "$(readlink "$path")"
    elif [ -f "$path" ]; then
      printf ' %s' "$(sha256sum <"$path" | cut -d' ' -f1)"
    fi
    getfattr -h -d -m - -e hex "$path" 2>/dev/null | LC_ALL=C sort | while read -r x; do
      case $x in *=*) printf ' %s' "$x" ;; esac
    done
    echo
  done
}
here=$PWD
(cd "$tree" && list >"$here/tree.txt")

id=-U01234567-89ab-cdef-0123-456789abcdef
image() { # NAME PROGRAM OPTIONS
  name=$1 program=$2
  shift 2
  $program --quiet "$id" "$@" "$work/$name" "$tree"
  gzip -9n <"$work/$name" >"$name.gz"
}
image plain "$old" -T1700000000 --ignore-mtime
image chunks "$old" --chunksize=16384 -Eforce-chunk-indexes -x0
image lz4-legacy "$old" -zlz4hc -Elegacy-compress
image lz4 "$old" -zlz4hc
image lz4-tails "$old" -zlz4hc -C16384 -Eztailpacking
image small-blocks "$new" -T1700000000 --mkfs-time -b512 -zlz4hc,level=9 -Exattr-name-filter
rm "$tree/zeros" "$tree/odd"
touch -d "$time" "$tree"
image dedupe "$new" -T1700000000 --mkfs-time -zlz4hc,level=9 -C16384 -Ededupe
image lzma "$new" -T1700000000 --mkfs-time -zlzma,level=6 -C16384 -Eztailpacking
image deflate "$new" -T1700000000 --mkfs-time -zdeflate,level=9 -C16384 -Efragments --xattr-prefix=user.prefix.of. -x0
image zstd "$new" -T1700000000 --mkfs-time -zzstd,level=9 -C65536 -Eall-fragments,dedupe,ztailpacking --xattr-prefix=user.prefix.of.many.

# And small ones to start fuzzing from.
tree=$work/tiny
mkdir -p "$tree/folder"
head -c 9000 "$work/tree/text" >"$tree/text"
head -c 700 "$work/tree/noise" >"$tree/noise"
cat "$tree/text" "$tree/noise" >"$tree/mixed"
ln -s ../text "$tree/folder/link"
ln "$tree/noise" "$tree/folder/same"
setfattr -n user.prefix.of.a -v 1 "$tree/text"
setfattr -n security.selinux -v type "$tree/text"
setfattr -n security.selinux -v type "$tree/noise"
mkdir -p fuzz
cd fuzz
image plain "$old"
image chunks "$new" -b512 --chunksize=512 -Eforce-chunk-indexes
image lz4-legacy "$old" -zlz4hc -Elegacy-compress
image lz4 "$new" -b512 -zlz4hc,level=9 -C2048 -Eztailpacking -Exattr-name-filter
image dedupe "$new" -zlz4hc,level=9 -Ededupe
image lzma "$new" -b512 -zlzma,level=0 -C2048 -Eztailpacking -x0
image deflate "$new" -b512 -zdeflate,level=9 -C1024 -Efragments --xattr-prefix=user.prefix.
image zstd "$new" -b512 -zzstd,level=9 -C4096 -Eall-fragments,dedupe,ztailpacking
