#!/bin/bash
# Placed by inlay boot install: the boot step in an initrd made by dracut.

check() {
    require_binaries '@PROGRAM@' || return 1
    return 0
}

depends() {
    return 0
}

installkernel() {
    hostonly='' instmods loop dm_verity erofs squashfs ext4 overlay efivarfs vfat
}

install() {
    inst_simple '@PROGRAM@'
    # Who signs the initrd says whose extensions count.
    inst_multiple -o /usr/lib/verity.d/*.crt /usr/lib/inlay/config.yaml
    inst_hook pre-pivot 50 "$moddir/inlay-boot.sh"
}
