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

# udev_on and udev_off: udev's processes may load parts of a merged /usr, and keep
# it in use, with its devices, for as long as they run.
udev_on() { /usr/lib/systemd/systemd-udevd --daemon; }

udev_off() {
  kill "$(pidof systemd-udevd)"
  while pidof systemd-udevd >/dev/null; do sleep 0.1; done
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

prepare() {
  cp /payload/mapper /payload/*.raw /run
  chmod +x /run/mapper
  cd /run || exit
}

devices() {
  prepare
  ask have have

  for image in good repart; do
    ask "$image-offered" mount $image.raw offered /run/m
    device=$(dmsetup ls | sed -n 's/-verity.*//p')-verity
    result "$image-content" "content=$(content /run/m) verity=$(dmsetup table | grep -c ' verity 1 ')"
    [ "$image" != good ] || good=$device
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
  spoilt_devices
  taken_names
  without_nodes
  with_udev
  required_signatures
}

# spoilt_devices: a byte changes while the image is mounted.
spoilt_devices() {
  cp good.raw bad.raw
  ask corrupt mount bad.raw none /run/m
  result corrupt-before "content=$(content /run/m)"
  corrupt bad.raw
  result corrupt-after "content=$(content /run/m)"
  ask corrupt-status status /run/m
  result corrupt-checked "$(checked "$good")"
  ask corrupt-taken mount good.raw none /run/n
  ask corrupt-aside mount good.raw none /run/n "$good-2"
  result corrupt-aside-content "content=$(content /run/n) verity=$(dmsetup ls | grep -c verity)"
  umount /run/n /run/m
  left corrupt-left
}

# taken_names: another device has the name.
taken_names() {
  dmsetup create "$good" --table '0 8 error'
  ask taken-other mount good.raw none /run/m
  ask taken-other-status status "$good"
  dmsetup remove "$good"

  ask listed-mount mount good.raw none /run/m
  ask listed list
  table=$(dmsetup table "$good")
  ask kept mount good.raw none /run/n aside
  dmsetup create held --readonly --table "$(dmsetup table aside) 1 ignore_corruption"
  umount /run/m /run/n
  for _ in $(seq 50); do dmsetup info "$good" >/dev/null 2>&1 || break; sleep 0.1; done
  dmsetup rename held "$good"
  ask taken-lax mount good.raw none /run/m
  ask taken-removed remove "$good"
  left taken-left

  # Left by one who was killed between two steps.
  dmsetup create "$good" --notable
  ask abandoned mount good.raw none /run/m
  result abandoned-content "content=$(content /run/m)"
  umount /run/m
  left abandoned-left
}

# without_nodes: a container with a /dev of its own.
without_nodes() {
  cat >/run/inside <<'END'
mount -t tmpfs tmpfs /dev
mknod /dev/null c 1 3
result() { echo "$1: $2"; }
/run/mapper have
/run/mapper mount good.raw offered /run/m
cat /run/m/usr/share/inlay-test/content >/dev/null && echo readable
/run/mapper status /run/m
END
  unshare -m sh /run/inside >/run/inside-said
  result nodes "$(sed -n 1p /run/inside-said) content=$(sed -n 3p /run/inside-said)"
  result nodes-mount "$(sed -n 2p /run/inside-said)"
  left nodes-left
}

# with_udev: udev is told of our devices, and systemd finds them.
with_udev() {
  udev_on
  ask udev mount good.raw none /run/m
  udevadm settle
  result udev-link "link=$(readlink /dev/mapper/"$good")"
  umount /run/m
  left udev-left
  udevadm settle
  result udev-unlinked "link=$(readlink /dev/mapper/"$good")"

  trust signer.pem
  cp good.raw /var/lib/extensions/hello.sysext.raw
  systemd-sysext --no-reload --image-policy="$policy" merge
  result systemd "content=$(content /) verity=$(dmsetup ls | grep -c verity) name=$(dmsetup ls | cut -f 1)"
  ask systemd-status status "$good"
  ask systemd-shared mount good.raw none /run/m
  systemd-sysext --no-reload unmerge
  result systemd-without "content=$(content /run/m)"
  ask systemd-after status "$good"
  umount /run/m
  udev_off
  left systemd-left

  udev_on
  ask first mount good.raw offered /run/m
  systemd-sysext --no-reload --image-policy="$policy" merge
  result first-systemd "content=$(content /) verity=$(dmsetup ls | grep -c verity)"
  umount /run/m
  result first-without "content=$(content /)"
  systemd-sysext --no-reload unmerge
  udev_off
  left first-left
  rm /var/lib/extensions/*
}

# required_signatures: the kernel takes only what it trusts itself.
required_signatures() {
  rmmod dm_verity
  modprobe dm_verity require_signatures=1
  ask strict-offered mount good.raw offered /run/m
  ask strict-none mount good.raw none /run/m
  left strict-left
}

# kernel_keys: db has the signer of good.raw, and the kernel's keyring with it.
kernel_keys() {
  prepare
  ask required mount good.raw required /run/m
  ask required-status status /run/m
  device=$(dmsetup ls | sed -n 's/-verity.*//p')-verity
  result required-table "content=$(content /run/m) table=$(dmsetup table "$device" | cut -d ' ' -f 14-15 | tr ' ' _)"
  ask shared mount good.raw offered /run/n
  umount /run/n
  udev_on
  cp good.raw /var/lib/extensions/hello.sysext.raw
  udevadm trigger --settle /dev/dm-0
  systemd-sysext --no-reload --image-policy="$policy" merge
  umount /run/m
  result systemd "content=$(content /) verity=$(dmsetup ls | grep -c verity)"
  systemd-sysext --no-reload unmerge
  udev_off
  left systemd-left
  udev_on
  systemd-sysext --no-reload --image-policy="$policy" merge
  ask systemd-shared mount good.raw required /run/m
  systemd-sysext --no-reload unmerge
  umount /run/m
  udev_off
  left shared-left

  ask foreign mount foreign.raw offered /run/m
  ask foreign-shared mount foreign.raw required /run/n
  umount /run/m
  ask foreign-required mount foreign.raw required /run/m
  ask spoilt mount good.raw spoilt /run/m
  umount /run/m
  left spoilt-left

  rmmod dm_verity
  modprobe dm_verity require_signatures=1
  ask strict mount good.raw offered /run/m
  umount /run/m
  ask strict-foreign mount foreign.raw offered /run/m
  ask strict-none mount good.raw none /run/m
  left strict-left
}
