# integrations.sh TOOL VERSION: makes an initrd with inlay's boot step, as a system
# makes it that has the tool. Runs in the root that debian.Initrds returns.
tool=$1
version=$2
mkdir -p /usr/lib/modules
cp -a /kernel "/usr/lib/modules/$version"
depmod "$version"
inlay boot install --for "$tool"
case $tool in
dracut)
  # No more than finds a root; dracut itself follows what ours depends on.
  dracut --no-hostonly --no-hostonly-cmdline --no-compress --kver "$version" \
    --modules "dash base udev-rules rootfs-block kernel-modules fs-lib inlay" \
    --drivers "nvme ext4" --force /out/initrd
  lsinitrd /out/initrd >/out/files
  ;;
initramfs-tools)
  mkdir -p /etc/initramfs-tools/conf.d
  printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\nRESUME=none\n' >/etc/initramfs-tools/conf.d/test
  # What finds the disks of a machine is the test's own part.
  echo virtio_blk >/etc/initramfs-tools/modules
  mkinitramfs -o /out/initrd "$version"
  lsinitramfs /out/initrd >/out/files
  ;;
esac
chmod 644 /out/*
