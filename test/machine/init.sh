#!/bin/sh
# PID 1 of the test machines: as little as systemd-sysext needs, then the script
# on the payload disk, then an end that the harness recognises.
# Results go to the second serial line, where no kernel message can cut them.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_COLORS=0 SYSTEMD_PAGER=

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null # the kernel may have done it
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/lock

# mark WORD: one step is reached.
mark() {
  echo "MARK $*" | tee /dev/ttyS1
}

# result NAME KEY=VALUE...: what a case gave; values have no spaces.
result() {
  echo "CASE $1: $2" | tee /dev/ttyS1
}

mark up
# systemd loads some of these itself, but only after it has looked for them.
modprobe -a virtio_blk loop dm_mod dm_verity erofs squashfs overlay
mount --make-rshared /

for block in /sys/block/vd*; do
  [ "$(cat "$block/serial")" = payload ] && mount -o ro "/dev/${block##*/}" /payload
done
if [ -e /payload/run.sh ]; then
  (. /payload/run.sh)
  status=$?
else
  status=nothing
fi

# What the kernel complained of, for whoever reads the log.
dmesg --level emerg,alert,crit,err,warn
mark "done $status"
sleep 30 # the harness stops the machine at the mark
echo o >/proc/sysrq-trigger
sleep 30
