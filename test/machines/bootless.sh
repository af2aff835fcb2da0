# bootless.sh: what a machine without systemd is asked. Sourced in it, after
# verify.sh and boot.sh, when its init has run inlay's own scripts.

# merged CASE: what the kernel says of the merge, since no other tool is there.
merged() {
  verity=0
  for device in /sys/block/dm-*; do
    case "$(cat "$device/dm/uuid" 2>/dev/null)" in
    CRYPT-VERITY-*) verity=$((verity + 1)) ;;
    esac
  done
  result "$1" "systemd=$(ls /run/systemd 2>/dev/null) init=$(readlink /proc/1/exe) overlays=$(grep -c '^[^ ]* /usr overlay' /proc/mounts) verity=$verity etc=$(cat /etc/inlay-test/settings/name 2>/dev/null)"
}

# spoilt FILE OFFSET: changes a byte of an image that is merged, and forgets what was
# read of it.
spoilt() {
  printf X | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
  sync
  echo 3 >/proc/sys/vm/drop_caches
}
