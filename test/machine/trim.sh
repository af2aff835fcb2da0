# trim.sh ROOT: has an init start the system in ROOT for the script of a test, and
# without what takes an emulated processor long and no test needs. What merges
# extensions stays as the distribution has it.
root=$1
units=$root/etc/systemd/system
echo inlay-test >"$root/etc/hostname"
: >"$root/etc/fstab"
if [ ! -e "$root/usr/lib/systemd/systemd" ]; then
  # sysvinit's scripts, and OpenRC's, that wait for what these machines have not.
  for service in bootmisc.sh brightness hwclock.sh kmod mount-configfs mountnfs-bootclean.sh mountnfs.sh udev urandom; do
    rm -f "$root"/etc/rcS.d/S??"$service" "$root/etc/runlevels/sysinit/$service"
  done
  exit 0
fi
mkdir -p "$units/multi-user.target.wants" "$root/etc/systemd/system-generators"

# Not a first boot, which would preset all units and make indexes anew.
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
touch "$root/etc/.updated" "$root/var/.updated"

mask() {
  ln -sf /dev/null "$1"
}
for generator in "$root"/usr/lib/systemd/system-generators/*; do
  mask "$root/etc/systemd/system-generators/${generator##*/}"
done
# Devices are there before systemd is; libdevmapper waits for udev all the same.
# Modules: PID 1 has loaded them.
for unit in \
  systemd-udev-trigger.service systemd-hwdb-update.service systemd-udev-load-credentials.service \
  systemd-modules-load.service kmod-static-nodes.service modprobe@configfs.service modprobe@dm_mod.service \
  modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service \
  ldconfig.service systemd-journal-catalog-update.service systemd-update-done.service systemd-firstboot.service \
  systemd-machine-id-commit.service systemd-sysusers.service systemd-sysctl.service systemd-binfmt.service \
  proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount \
  sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount systemd-random-seed.service \
  systemd-pstore.service systemd-remount-fs.service systemd-tmpfiles-setup-dev-early.service systemd-tmpfiles-setup-dev.service \
  systemd-journal-flush.service systemd-ask-password-console.path systemd-ask-password-wall.path \
  systemd-hibernate-clear.service systemd-pcrmachine.service systemd-pcrphase.service systemd-pcrphase-sysinit.service \
  systemd-tpm2-setup.service systemd-tpm2-setup-early.service systemd-tpm2-clear.service systemd-logind.service systemd-user-sessions.service \
  systemd-creds.socket systemd-pcrextend.socket systemd-pcrlock.socket systemd-importd.socket systemd-hostnamed.socket \
  cryptsetup.target integritysetup.target veritysetup.target machines.target remote-fs.target getty.target \
  serial-getty@ttyS0.service getty@tty1.service systemd-timesyncd.service systemd-networkd.service; do
  mask "$units/$unit"
done
for timer in "$root"/usr/lib/systemd/system/*.timer; do
  mask "$units/${timer##*/}"
done

ln -sf /usr/lib/systemd/system/multi-user.target "$units/default.target"
cat >"$units/inlay-test.service" <<'UNIT'
[Unit]
Description=Script of the test
After=multi-user.target inlay-boot-good.service

[Service]
Type=oneshot
ExecStart=/usr/sbin/inlay-test-init
UNIT
ln -sf ../inlay-test.service "$units/multi-user.target.wants/inlay-test.service"
