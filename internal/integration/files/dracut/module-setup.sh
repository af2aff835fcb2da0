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
    # vfat and isofs: the ESP, and a live medium with the drive that it lies in.
    hostonly='' instmods loop dm_verity erofs squashfs ext4 overlay efivarfs \
        vfat nls_ascii nls_cp437 nls_iso8859-1 nls_utf8 isofs sr_mod
}

install() {
    inst_simple '@PROGRAM@'
    # Who signs the initrd says whose extensions count.
    inst_multiple -o /usr/lib/verity.d/*.crt /usr/lib/inlay/config.yaml
    # What keeps systemd from merging before the step, on trusted boots.
    inst_multiple -o /usr/lib/systemd/system/systemd-{sysext,confext}-sysroot.service.d/50-inlay.conf
    # shellcheck disable=SC2154 # dracut sets it
    inst_hook pre-pivot 50 "$moddir/inlay-boot.sh"
}
