#!/bin/sh
# /etc/init.d/rcS of the machines that have busybox and no more: what its init runs
# first. It makes the kernel's file systems visible, runs /etc/init.d/S* in their
# order, then the script on the payload disk, and ends as init.sh does.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

# mark WORD, result NAME KEY=VALUE...: as in init.sh.
mark() {
  echo "MARK $*" | tee /dev/ttyS1
}

result() {
  echo "CASE $1: $2" | tee /dev/ttyS1
}

# The kernel, or an initial RAM disk, may have done some of it.
[ -e /proc/mounts ] || mount -t proc proc /proc
while read -r type folder; do
  grep -q " $folder " /proc/mounts || mount -t "$type" "$type" "$folder"
done <<'END'
sysfs /sys
devtmpfs /dev
tmpfs /run
tmpfs /tmp
END
mark up
modprobe -a virtio_blk loop dm_mod dm_verity erofs squashfs overlay
for service in /etc/init.d/S*; do
  [ ! -e "$service" ] || "$service" start
done
for block in /sys/block/vd*; do
  [ "$(cat "$block/serial")" != payload ] || mount -o ro "/dev/${block##*/}" /payload
done
(. /payload/run.sh)
mark "done $?"
sleep 30 # the harness stops the machine at the mark
