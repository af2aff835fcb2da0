#!/bin/sh
# PID 1 of the test machines: as little as systemd-sysext needs, then the script
# on the payload disk, then an end that the harness recognises. With the file
# "init" on that disk it only prepares, and becomes the init that this names, which
# runs it again as a service, for the script.
# Results go to the second serial line, where no kernel message can cut them.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_COLORS=0 SYSTEMD_PAGER=

# mark WORD: one step is reached.
mark() {
  echo "MARK $*" | tee /dev/ttyS1
}

# result NAME KEY=VALUE...: what a case gave; values have no spaces.
result() {
  echo "CASE $1: $2" | tee /dev/ttyS1
}

# disk SERIAL: the device of the disk with that serial.
disk() {
  for block in /sys/block/vd*; do
    [ "$(cat "$block/serial" 2>/dev/null)" != "$1" ] || echo "/dev/${block##*/}"
  done
}

# script: runs that of the payload, and ends the machine.
script() {
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
}

if [ $$ != 1 ]; then
  exec >/dev/ttyS0 2>&1
  mark "init $(readlink /proc/1/exe) $(systemctl --version 2>/dev/null | sed -n 1p)"
  script
  exit
fi

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null # the kernel may have done it
mount -t tmpfs tmpfs /run
mkdir -p /run/lock
mark up
# systemd loads some of these itself, but only after it has looked for them.
modprobe -a virtio_blk loop dm_mod dm_verity erofs squashfs overlay
payload=$(disk payload)
[ -z "$payload" ] || mount -o ro "$payload" /payload

# into ROOT: lays over it what the payload has for it.
into() {
  [ ! -d /payload/root ] || cp -a /payload/root/. "$1"
  [ ! -e /payload/prepare.sh ] || (. /payload/prepare.sh)
}

if [ -e /payload/init ]; then
  read -r init </payload/init
  system=$(disk system)
  if [ -n "$system" ]; then
    mount "$system" /mnt
    into /mnt
    mount --move /payload /mnt/payload
    exec switch_root /mnt "$init"
  fi
  into /
  exec "$init"
fi
mount -t tmpfs tmpfs /tmp
mount --make-rshared /
into /
script
