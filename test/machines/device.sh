# device.sh: the cases of TestDevices. Sourced in the machine.

# ask CASE WORD...: reports what the mapper answers.
ask() {
  name=$1
  shift
  result "$name" "$(/run/mapper "$@")"
}

# left CASE: reports what is left of devices, once the kernel has cleared up.
left() {
  for _ in $(seq 50); do
    [ "$(dmsetup ls | grep -c verity) $(losetup -a | wc -l)" != "0 0" ] || break
    sleep 0.1
  done
  result "$1" "verity=$(dmsetup ls | grep -c verity) loops=$(losetup -a | wc -l)"
}

# content DIR: how the files of the extension below DIR can be read.
content() {
  if cat "$1/usr/share/inlay-test/content" "$1/usr/share/inlay-test/blob" >/dev/null; then echo readable; else echo unreadable; fi
}

# corrupt IMAGE: changes a byte in the middle of the large file, and forgets what
# was read of it.
corrupt() {
  at=$(grep -abo 'data of the extension' "$1" | sed -n '9000{s/:.*//;p}')
  printf X | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
  echo 3 >/proc/sys/vm/drop_caches
}

# checked NAME: what veritysetup says.
checked() {
  veritysetup status "$1" >/run/checked
  echo "veritysetup=$(sed -n 's/^ *status: *//p' /run/checked | tr ' ' _) root=$(sed -n 's/^ *root hash: *//p' /run/checked)"
}

devices() {
  cp /payload/mapper /payload/*.raw /run
  chmod +x /run/mapper
  cd /run || exit
  ask have have

  for image in good repart; do
    ask "$image-offered" mount $image.raw offered /run/m
    device=$(dmsetup ls | sed -n 's/-verity.*//p')-verity
    result "$image-content" "content=$(content /run/m) verity=$(dmsetup table | grep -c ' verity 1 ')"
    ask "$image-status" status /run/m
    result "$image-checked" "$(checked "$device")"
    result "$image-dmsetup" "name=$device uuid=$(dmsetup info -c --noheadings -o uuid "$device") $(dmsetup info "$device" | sed -n 's/^State: *\(.*\)/state=\1/p' | tr ' ' _)"
    cp $image.raw copy.raw
    ask "$image-shared" mount copy.raw none /run/n
    result "$image-two" "content=$(content /run/n) loops=$(losetup -a | wc -l) verity=$(dmsetup ls | grep -c verity)"
    umount /run/m
    result "$image-one" "content=$(content /run/n)"
    umount /run/n
    left "$image-left"
  done

  ask none status "$device"
  ask none-removed remove "$device"
  ask unsigned mount good.raw none /run/m
  umount /run/m
  left unsigned-left
  ask required mount good.raw required /run/m
  left required-left
  ask spoilt mount good.raw spoilt /run/m
  umount /run/m
  ask spoilt-required mount good.raw spoilt-required /run/m
  left spoilt-left
  ask killed kill good.raw offered
  left killed-left
  ask crowd crowd good.raw 12
  left crowd-left
}
